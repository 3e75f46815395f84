"""`eyrie up`: what it looks at first, and the processes that it starts. Holds no import by rule."""
