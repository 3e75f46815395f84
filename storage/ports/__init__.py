"""What the rest of Eyrie asks of storage. Holds no import by rule."""
