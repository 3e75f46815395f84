"""Unit tests of `cluster.supervisor`."""
