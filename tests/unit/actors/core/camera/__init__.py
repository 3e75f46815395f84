"""Unit tests of `actors.core.camera`."""
