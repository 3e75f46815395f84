"""What happens to connections by time: canaries, pings, expiry. Holds no import by rule."""
