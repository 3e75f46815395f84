"""The Centrifuge protocol and our channels as values. Pure. Holds no import by rule."""
