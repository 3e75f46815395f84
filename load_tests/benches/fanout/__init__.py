"""The fan-out bench, its servers and its peers. Holds no import by rule."""
