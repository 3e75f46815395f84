"""Unit tests of `cluster`."""
