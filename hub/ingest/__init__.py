"""From devices to camera actors: edge socket, HTTP ingest, pump. Holds no import by rule."""
