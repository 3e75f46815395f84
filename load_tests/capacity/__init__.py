"""From measured costs to a fleet, and the search for a limit. Holds no import by rule."""
