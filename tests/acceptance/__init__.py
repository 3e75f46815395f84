"""The whole stack, as a user meets it."""
