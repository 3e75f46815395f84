"""Unit tests of `hub.fanout`."""
