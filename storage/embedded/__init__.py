"""The embedded servers and their data directory. Holds no import by rule."""
