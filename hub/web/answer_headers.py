"""The headers of every HTTP answer, by whichever way it leaves: an app's, one that uvicorn or h11
makes below the app, the head of a stream written to the transport, or a refused websocket.

The console's page runs nothing but our own files, is framed by nobody and talks to this hub alone.
"""

import re
from collections.abc import Callable, Iterable

import h11

HSTS_S = 31_536_000  # a year
_FIXED = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_WITH_TLS = (b"strict-transport-security", f"max-age={HSTS_S}".encode())


class AnswerHeaders:
    """Those of one server. `origins` is asked at each answer: the port may be known only after the
    start."""

    def __init__(self, origins: Callable[[], Iterable[str]] = tuple) -> None:
        self._origins = origins

    def of(self, *, tls: bool) -> list[tuple[bytes, bytes]]:
        """Names and values. Who came over plain text is told nothing of TLS (RFC 6797, 7.2)."""
        pairs = [(b"content-security-policy", content_policy(self._origins()).encode()), *_FIXED]
        return [*pairs, _WITH_TLS] if tls else pairs


def content_policy(origins: Iterable[str]) -> str:
    """The Content-Security-Policy: own files, and sockets to the origins this hub accepts (older
    browsers do not count them as 'self')."""
    # A source may not be an IPv6 literal (CSP3, 2.3.1): Chromium complains of it and ignores it;
    # 'self' covers it in current browsers.
    sockets = " ".join(
        sorted(re.sub(r"\Ahttp", "ws", origin) for origin in origins if "[" not in origin)
    )
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"font-src 'self'; connect-src 'self' {sockets}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


class AnsweringConnection(h11.Connection):
    """h11's side of one connection: the one place that every answer of uvicorn passes, whoever made
    it."""

    def __init__(self, headers: AnswerHeaders, max_incomplete_event_size: int) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size)
        self.answer_headers = headers
        self.tls = False

    def send_with_data_passthrough(self, event: h11.Event) -> list[bytes] | None:
        """See h11: `send` is this, joined."""
        if isinstance(event, h11.Response):
            headers = [*event.headers.raw_items(), *self.answer_headers.of(tls=self.tls)]
            event = h11.Response(
                status_code=event.status_code,
                headers=headers,
                http_version=event.http_version,
                reason=event.reason,
            )
        return super().send_with_data_passthrough(event)
