"""What the supervisor keeps in order in the stores. Holds no import by rule."""
