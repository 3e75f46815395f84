"""Unit tests of `load_tests.faults`."""
