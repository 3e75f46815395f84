"""Unit tests of `load_tests.checker`."""
