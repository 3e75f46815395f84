"""Unit tests of `storage.process`."""
