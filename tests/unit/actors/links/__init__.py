"""Unit tests of `actors.links`."""
