"""Unit tests of `cluster.cli`."""
