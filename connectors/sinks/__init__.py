"""Sinks: destinations that get events once, in order per camera, under policy."""
