"""Unit tests of `load_tests.drivers`."""
