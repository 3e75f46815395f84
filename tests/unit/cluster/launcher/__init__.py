"""Unit tests of `cluster.launcher`."""
