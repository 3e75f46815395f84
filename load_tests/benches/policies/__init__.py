"""Benches of decisions. Holds no import by rule."""
