"""The product as processes, and its supervisor over doubles. Holds no import by rule."""
