"""From Redis to the transports: topics, walls, event streams, frames. Holds no import by rule."""
