"""Backups of PostgreSQL and of the keys beside it, and putting them back."""
