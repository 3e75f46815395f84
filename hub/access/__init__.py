"""Who asks, what they may see, and how often. Holds no import by rule."""
