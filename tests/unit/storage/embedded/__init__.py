"""Unit tests of `storage.embedded`."""
