"""Benches: one part measured next to its floor. Holds no import by rule."""
