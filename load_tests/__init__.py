"""Load tests and benchmarks. Holds no import by rule."""
