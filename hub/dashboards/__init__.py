"""Dashboard connections: their state machine, their subscriptions, their end. Holds no import by
rule."""
