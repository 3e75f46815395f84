"""The Redis side. Holds no import by rule."""
