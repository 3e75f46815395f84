"""Unit tests of `load_tests.harness`."""
