"""Camera actors on Ray: the actor class, its calls, its directory. Holds no import by rule."""
