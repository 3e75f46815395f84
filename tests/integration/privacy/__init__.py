"""Personal values on real servers."""
