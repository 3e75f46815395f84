"""Servers of others that tests start. Holds no import by rule."""
