"""Unit tests of `load_tests.capacity`."""
