"""Unit tests of `policy.engine`."""
