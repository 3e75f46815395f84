"""Connectors over real servers."""
