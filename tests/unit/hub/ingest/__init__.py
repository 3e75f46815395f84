"""Unit tests of `hub.ingest`."""
