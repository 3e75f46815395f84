"""Unit tests of `actors.core.scene`."""
