"""Load with a known truth, and the product broken on purpose. Holds no import by rule."""
