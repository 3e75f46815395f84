"""Unit tests of `hub`."""
