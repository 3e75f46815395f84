"""Unit tests of `edge`."""
