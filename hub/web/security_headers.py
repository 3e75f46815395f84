"""What no request of a hub may be, and which pages of elsewhere may read its answers (an ASGI
wrapper).

Requests with both Content-Length and Transfer-Encoding, or with a malformed Host, are refused: a
proxy in front may read them another way (traps U11). So is one for a name that is not ours
(`hub.access.host_names`), and one whose target names another server than its Host (RFC 9112,
3.2.2).
"""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from hub.access import client_address
from hub.access.client_address import Network, named
from hub.access.host_names import Hosts

MAX_HEADERS = 100


MAX_HEADER_BYTES = 16_384


def too_large(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Beyond what a request may have. h11 bounds only headers that arrive in pieces."""
    return (
        len(headers) > MAX_HEADERS
        or sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES
    )


CORS_S = 300  # how long a browser remembers what it may
CORS_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
CORS_ASKS = ("authorization", "content-type", "idempotency-key", "if-match", "if-none-match")
CORS_SHOWS = ("allow", "etag", "link", "location", "retry-after")


class SecurityHeaders:
    """Wraps the app. Pages of `origins` may read its answers, never with credentials; `proxies` see
    `hub.access.client_address`."""

    def __init__(
        self,
        app: Starlette,
        hosts: Hosts,
        origins: Sequence[str] = (),
        proxies: Sequence[Network] = (),
    ) -> None:
        self.app = app
        self._hosts = hosts
        self._proxies = proxies
        self._readable = CORSMiddleware(
            app,
            allow_origins=sorted(named(origins)),
            allow_methods=CORS_METHODS,
            allow_headers=CORS_ASKS,
            expose_headers=CORS_SHOWS,
            max_age=CORS_S,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            client_address.settle(scope, self._proxies)
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refused = (
            (431, "The header is too large.\n")
            if too_large(scope["headers"])
            else self._refused(scope)
        )
        if refused is not None:
            await PlainTextResponse(refused[1], status_code=refused[0])(scope, receive, send)
            return
        await self._readable(scope, receive, send)

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        names = [name for name, _ in scope["headers"]]
        if b"content-length" in names and b"transfer-encoding" in names:
            return 400, "Send Content-Length or Transfer-Encoding, not both.\n"
        if scope["raw_path"][:1] != b"/" and scope["raw_path"] != b"*":
            return 400, "The target of a request is a path here; this is no proxy.\n"
        return self._hosts.problem(
            [value for name, value in scope["headers"] if name == b"host"], scope["server"][0]
        )
