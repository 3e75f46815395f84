"""`eyrie cluster` and what its sub-commands are made of. Holds no import by rule."""
