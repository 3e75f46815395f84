"""Whole hubs in this process, and what tests say to them. Holds no import by rule."""
