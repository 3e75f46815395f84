"""One suite for the stores and their doubles."""
