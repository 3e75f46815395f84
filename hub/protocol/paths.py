"""Paths of the dashboard transports (pure)."""

DASHBOARD_PATH = "/connection/websocket"


SSE_PATH = "/connection/sse"


HTTP_STREAM_PATH = "/connection/http_stream"


DASHBOARD_PATHS = (DASHBOARD_PATH, SSE_PATH, HTTP_STREAM_PATH)
