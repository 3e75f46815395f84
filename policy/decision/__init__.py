"""Questions and decisions, and asking them of the policy actor. Holds no import by rule."""
