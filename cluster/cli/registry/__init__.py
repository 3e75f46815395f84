"""`eyrie registry` and `eyrie cameras`. Holds no import by rule."""
