"""The supervisor without Ray. Holds no import by rule."""
