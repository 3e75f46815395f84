"""Tests. Holds no import by rule."""
