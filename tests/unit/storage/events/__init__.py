"""Unit tests of `storage.events`."""
