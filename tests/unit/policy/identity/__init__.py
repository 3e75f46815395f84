"""Unit tests of `policy.identity`."""
