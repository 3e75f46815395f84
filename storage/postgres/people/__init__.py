"""Personal values, holds, requests and erasures in PostgreSQL. Holds no import by rule."""
