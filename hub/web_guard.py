"""What every HTTP answer of a hub carries, and what no request may be (an ASGI wrapper).

The console's page runs nothing but our own files, is framed by nobody and talks to this hub alone. Requests with both Content-Length and
Transfer-Encoding, or with a malformed Host, are refused: a proxy in front may read them another way (traps U11).
"""

import re
from collections.abc import Callable, Iterable, Sequence

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from hub import peers
from hub.http_protocol import too_large
from hub.peers import Network

_HOST = re.compile(rb"\A(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?\Z")


def content_policy(origins: Iterable[str]) -> str:
    """The Content-Security-Policy: own files, and sockets to the origins this hub accepts (older browsers do not count them as 'self')."""
    # A source may not be an IPv6 literal (CSP3, 2.3.1): Chromium complains of it and ignores it; 'self' covers it in current browsers.
    sockets = " ".join(sorted(re.sub(r"\Ahttp", "ws", origin) for origin in origins if "[" not in origin))
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self' {sockets}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


class WebGuard:
    """Wraps the app. `origins` is asked at each answer: the port may be known only after the start. `proxies` see `hub.peers`."""

    def __init__(self, app: Starlette, origins: Callable[[], Iterable[str]], proxies: Sequence[Network] = ()) -> None:
        self.app = app
        self._origins = origins
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] in ("http", "websocket"):
            peers.settle(scope, self._proxies)
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = [(b"content-security-policy", content_policy(self._origins()).encode()), *_FIXED]

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        if too_large(scope["headers"]):
            await PlainTextResponse("The header is too large.\n", status_code=431)(scope, receive, guarded)
            return
        if (problem := _refused(scope)) is not None:
            await PlainTextResponse(problem, status_code=400)(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)


_FIXED = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


def _refused(scope: Scope) -> str | None:
    names = [name for name, _ in scope["headers"]]
    if b"content-length" in names and b"transfer-encoding" in names:
        return "Send Content-Length or Transfer-Encoding, not both.\n"
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if len(hosts) > 1 or not all(_HOST.match(host) for host in hosts):
        return "The Host header is malformed.\n"
    return None
