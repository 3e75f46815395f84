"""Unit tests of `cluster.ray`."""
