"""Adapters: recordings and messages of others, turned into observations. Pure, one file each. Holds
no import by rule."""
