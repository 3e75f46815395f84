"""Unit tests of `cluster.planning`."""
