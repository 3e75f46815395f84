"""Doubles of ports. Holds no import by rule."""
