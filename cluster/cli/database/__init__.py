"""The commands that open the database themselves. Holds no import by rule."""
