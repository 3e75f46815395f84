"""What people do about alerts. Holds no import by rule."""
