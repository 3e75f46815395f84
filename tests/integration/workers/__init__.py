"""Workers on real servers."""
