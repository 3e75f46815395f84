"""A simulated site: seeded worlds of people and vehicles, seen by imperfect detectors, with the
truth beside. Holds no import by rule."""
