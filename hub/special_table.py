"""Everything that a hub answers and that is no REST: sockets, streams, documents, metrics, the
console. Routes are made from this table.

With `hub.rest.table` it names every path there is; `docs/routes.md` is made from both.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from hub.protocol.paths import DASHBOARD_PATH, HTTP_STREAM_PATH, SSE_PATH
from hub.web.endpoint import EVERYTHING
from hub.web.openapi_routes import DOCUMENT, PAGE, STYLESHEET

# `protocol`: taken before any ASGI application runs (`hub.server.websocket_protocol`), so there is
# no route. `files`: a folder, all below the path.
Kind = Literal["http", "websocket", "protocol", "files"]
DASHBOARD = ("connect", "subscribe", "history", "cluster.read")
TOKEN_INSIDE = "a user's token, in the first command"
NOBODY = "nobody: the same for everybody"


class Special(msgspec.Struct, frozen=True):
    """One path. `who`: how it is known who asks, in words; `actions`: what policy may be asked,
    empty: nothing.
    `optional`: there is a route only where an extension has a handler for it."""

    id: str
    methods: tuple[str, ...]
    path: str
    text: str
    who: str = NOBODY
    actions: tuple[str, ...] = ()
    kind: Kind = "http"
    optional: bool = False


def _public(id: str, path: str, text: str) -> Special:
    return Special(id, ("GET",), path, text)


def _dashboard(
    id: str, methods: Sequence[str], path: str, text: str, kind: Kind = "http"
) -> Special:
    return Special(id, tuple(methods), path, text, TOKEN_INSIDE, DASHBOARD, kind)


# In the order in which they are tried, after REST: the path of all paths and the folder come last.
SPECIALS: tuple[Special, ...] = (
    Special(
        "metrics",
        ("GET",),
        "/metrics",
        "Metrics of this hub",
        "whoever reaches the hub's private port (loopback)",
    ),
    Special(
        "metricsOfNode",
        ("GET",),
        "/metrics/node",
        "Metrics of all processes of the machine",
        "the same",
    ),
    _public("asyncapi", "/asyncapi.json", "The sockets, for programs"),
    _public("schemas", "/schemas", "Which schemas there are"),
    _public("schemasListed", "/schemas/", "The same"),
    _public("schema", "/schemas/{rest:path}", "One schema"),
    _public("openapi", DOCUMENT, "REST, for programs"),
    _public("docs", PAGE, "REST, for people"),
    _public("docsStyle", STYLESHEET, "The looks of that page"),
    _dashboard("dashboard", ("GET",), DASHBOARD_PATH, "The dashboard socket", "protocol"),
    _dashboard("sse", ("GET", "POST"), SSE_PATH, "The same as server-sent events"),
    _dashboard("httpStream", ("POST",), HTTP_STREAM_PATH, "The same as an HTTP stream"),
    Special(
        "emulation",
        ("POST",),
        "/emulation",
        "The later commands of those two",
        "the session that the stream's first answer named",
        ("subscribe", "history", "cluster.read"),
    ),
    Special(
        "edge",
        ("GET",),
        "/v1/edge",
        "The edge socket",
        "an edge's token, key or certificate",
        ("ingest",),
        "websocket",
    ),
    Special(
        "serverApi",
        ("POST",),
        "/api/{method}",
        "Centrifugo's server API (compatibility profile alone)",
        "the profile's API key",
        optional=True,
    ),
    Special(
        "unknown",
        ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
        EVERYTHING,
        "404, or 405 with the methods that there are",
    ),
    Special("console", ("GET",), "/", "The console's files", kind="files"),
)
