"""The sub-commands of `eyrie` that are one module each. Holds no import by rule."""
