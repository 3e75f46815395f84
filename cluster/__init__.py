"""Supervision, placement, the launcher and the command line. Holds no import by rule."""
