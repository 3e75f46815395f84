"""Unit tests of `storage.ports`."""
