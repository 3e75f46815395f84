"""Ways in: mappings, journal, command."""
