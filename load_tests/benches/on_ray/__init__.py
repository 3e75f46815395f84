"""Benches of actors and of calls between them. Holds no import by rule."""
