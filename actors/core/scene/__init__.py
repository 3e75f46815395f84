"""Scenes: zones, lines, the ground, and what is checked of them. Pure. Holds no import by rule."""
