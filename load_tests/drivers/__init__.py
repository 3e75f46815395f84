"""What drives a stack: devices, dashboards, bad links. Holds no import by rule."""
