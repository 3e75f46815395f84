"""Faults of a running stack: done, read back, undone. Holds no import by rule."""
