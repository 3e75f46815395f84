"""The realtime hub: edge and dashboard sockets, HTTP, console. Holds no import by rule."""
