"""The edge side: client, adapters for recordings, simulated sites. Imports neither Ray nor a
server. Holds no import by rule."""
