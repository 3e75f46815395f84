"""The PostgreSQL stores. Holds no import by rule."""
