"""Unit tests of `hub.web`."""
