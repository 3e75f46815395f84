"""Integration tests of `cluster`."""
