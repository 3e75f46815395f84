"""REST for what is stored: events and counts. Holds no import by rule."""
