"""Jobs, schedules, connectors, sinks and stored counts in PostgreSQL. Holds no import by rule."""
