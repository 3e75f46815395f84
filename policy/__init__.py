"""Identity and Rego decisions. Holds no import by rule."""
