"""Events in PostgreSQL: reading, day partitions, retention. Holds no import by rule."""
