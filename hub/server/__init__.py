"""uvicorn as a hub runs it: listeners, TLS, bounded protocols. Holds no import by rule."""
