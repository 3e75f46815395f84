"""The whole stack on Ray."""
