"""What crosses between edge, hub, actor and store, as values. Pure. Holds no import by rule."""
