"""Unit tests of `storage.redis`."""
