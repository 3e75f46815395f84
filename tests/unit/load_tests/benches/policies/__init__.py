"""Unit tests of `load_tests.benches`."""
