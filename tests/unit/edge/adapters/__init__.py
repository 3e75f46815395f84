"""Unit tests of `edge.adapters`."""
