"""One camera: what its inputs do to its state. Pure. Holds no import by rule."""
