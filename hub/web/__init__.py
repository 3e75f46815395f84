"""What every HTTP handler shares: bodies, problems, headers, OpenAPI. Holds no import by rule."""
