"""Commands for people and their rights: keys, tokens, policy, privacy. Holds no import by rule."""
