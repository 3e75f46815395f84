"""What should run where, as pure functions. Holds no import by rule."""
