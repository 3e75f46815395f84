"""Integration tests of `actors`."""
