"""Unit tests of `hub.access`."""
