"""Jobs, schedules, connectors, sinks and counts, to their users. Holds no import by rule."""
