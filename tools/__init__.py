"""Scripts for those who work on Eyrie: what `make` calls beyond the tools of the locks."""
