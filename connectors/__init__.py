"""Connectors: what brings events out of Eyrie to other systems."""
