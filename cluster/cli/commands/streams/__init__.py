"""Commands that send or read streams of cameras. Holds no import by rule."""
