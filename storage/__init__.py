"""PostgreSQL, Redis and the embedded servers. Holds no import by rule."""
