"""Unit tests of `actors`."""
