"""Unit tests of `policy.decision`."""
