"""REST for alerts: what needs somebody, and what people do about it. Holds no import by rule."""
