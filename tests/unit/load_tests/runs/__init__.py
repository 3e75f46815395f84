"""Unit tests of `load_tests.runs`."""
