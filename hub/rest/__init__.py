"""The REST handlers of a hub and the table of its endpoints. Holds no import by rule."""
