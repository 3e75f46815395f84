"""Executable models of the protocols that cannot be proven by running them, explored
exhaustively."""
