"""REST for people and their data: sign-in, tokens, privacy. Holds no import by rule."""
