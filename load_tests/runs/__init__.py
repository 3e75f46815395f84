"""A run of a scenario, its result and its report. Holds no import by rule."""
