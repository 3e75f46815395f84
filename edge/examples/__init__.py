"""Examples to start from. Holds no import by rule."""
