"""Unit tests of `policy.actor`."""
