"""Our HTTP protocol under uvicorn: h11 with absolute deadlines for header and body, which uvicorn
0.54 lacks (trap U1, Kludex/uvicorn#157).

Absolute: a peer that sends one byte a second is as late as one that sends none.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from hub.access.client_address import CERTIFICATE
from hub.access.host_names import Hosts
from hub.server.waiting_connections import PATIENCE_S, WaitingConnections
from hub.web.answer_headers import AnswerHeaders, AnsweringConnection
from hub.web.security_headers import MAX_HEADER_BYTES, too_large

HEADER_S = 10.0
BODY_S = 30.0
IDLE = "idle"  # between two requests
PROTOCOL = (
    "eyrie.protocol"  # where a request finds its :class:`BoundedHttp`, in the `state` of its scope
)


class Taker(Protocol):
    """Whoever takes a connection over (`hub.server.http_stream`)."""

    def on_blocked(self) -> None:
        """The transport is above its mark."""

    def on_drained(self) -> None:
        """It has room again."""

    def on_lost(self) -> None:
        """It is gone."""


class BoundedHttp(H11Protocol):
    """h11 with deadlines. Subclasses made by :func:`http_class` know their server's headers, names,
    and connections that wait or idle."""

    answer_headers: ClassVar[AnswerHeaders] = AnswerHeaders()
    hosts: ClassVar[Hosts] = Hosts("")
    waiting: ClassVar[WaitingConnections] = WaitingConnections(1_000_000, ())
    idle: ClassVar[WaitingConnections] = WaitingConnections(1_000_000, ())
    header_s = HEADER_S
    body_s = BODY_S

    _timer: asyncio.TimerHandle | None = None
    _awaiting = ""
    _counted: tuple[WaitingConnections, str] | None = (
        None  # where, and under which address, this connection waits for its peer
    )
    taken: Taker | None = None
    conn: AnsweringConnection

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = AnsweringConnection(self.answer_headers, MAX_HEADER_BYTES)
        self.app_state = {**self.app_state, PROTOCOL: self}

    def hand_over(self, taker: Taker) -> None:
        """The connection is `taker`'s from now on: it answers on the transport, and what still
        comes in is thrown away."""
        self.taken = taker
        self._await("", 0.0)

    def head(self, status: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
        """The head of an answer that is written to the transport, and whose end is that of the
        connection (RFC 9112, 6.3)."""
        lines = [
            *headers,
            (b"connection", b"close"),
            *self.answer_headers.of(tls=self.scheme == "https"),
        ]
        return (
            b"HTTP/1.1 "
            + status
            + b"\r\n"
            + b"".join(b"%b: %b\r\n" % pair for pair in lines)
            + b"\r\n"
        )

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.taken is not None:
            self.taken.on_blocked()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.taken is not None:
            self.taken.on_drained()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.conn.tls = self.scheme == "https"
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and (certificate := tls.getpeercert(binary_form=True)):
            self.app_state[CERTIFICATE] = (
                certificate  # a websocket that comes out of this connection gets the same state
            )
        self._watch()

    def data_received(self, data: bytes) -> None:
        if self.taken is not None:
            return
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._await("", 0.0)
        super().connection_lost(exc)
        self.app_state.pop(PROTOCOL, None)
        taken, self.taken = self.taken, None
        if taken is not None:
            taken.on_lost()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """The connection changes hands; the header was in time."""
        self._await("", 0.0)
        self.app_state.pop(
            PROTOCOL, None
        )  # or the websocket would keep this whole object for as long as it lives
        if too_large(self.headers):
            self._refuse(431, "The header is too large.\n")
            return
        refused = self.hosts.problem(
            [value for name, value in self.headers if name == b"host"],
            self.server[0] if self.server else "",
        )
        if refused is not None:
            self._refuse(*refused)
            return
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """The next request's header is due once its first byte has come; until then the connection
        idles, and uvicorn's timer runs."""
        super().on_response_complete()
        self._watch(idle=True)

    def _refuse(self, status: int, text: str) -> None:
        headers = [
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", str(len(text))),
            ("connection", "close"),
        ]
        for event in (
            h11.Response(status_code=status, headers=headers),
            h11.Data(data=text.encode("ascii")),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _watch(self, *, idle: bool = False) -> None:
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            return
        their_state: Any = self.conn.their_state
        if their_state is h11.IDLE:
            waiting = bool(self.conn.trailing_data[0]) or not idle
            self._await("header" if waiting else IDLE, self.header_s)
        elif their_state is h11.SEND_BODY:
            self._await("body", self.body_s)
        else:
            self._await("", 0.0)

    def _await(self, what: str, seconds: float) -> None:
        if what == self._awaiting:
            return
        self._awaiting = what
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._counted is not None:
            counts, address = self._counted
            counts.leave(address)
            self._counted = None
        if what and seconds > PATIENCE_S:
            self._timer = self.loop.call_later(PATIENCE_S, self._late, seconds - PATIENCE_S)
        elif what:
            self._timer = self.loop.call_later(seconds, self._too_late)

    def _late(self, seconds: float) -> None:
        """No whole header or body so far, or no other request: it may go on waiting for `seconds`,
        unless too many of its address do."""
        address = self.client[0] if self.client else "unknown"
        counts = self.idle if self._awaiting == IDLE else self.waiting
        if counts.enter(address):
            self._counted = counts, address
            self._timer = self.loop.call_later(seconds, self._too_late)
        else:
            self._too_late()

    def _too_late(self) -> None:
        self._timer = None
        if (
            self._awaiting != IDLE
            and not self.transport.is_closing()
            and self.conn.our_state is not h11.SEND_BODY
        ):
            self.transport.write(self.head(b"408 Request Timeout", [(b"content-length", b"0")]))
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()


def http_class(
    kind: type[BoundedHttp],
    headers: AnswerHeaders,
    hosts: Hosts,
    waiting: WaitingConnections,
    idle: WaitingConnections,
) -> type[BoundedHttp]:
    """The protocol class of one server: uvicorn makes the instances, so the class carries what
    belongs to the server."""
    attributes: dict[str, Any] = {
        "answer_headers": headers,
        "hosts": hosts,
        "waiting": waiting,
        "idle": idle,
    }
    return type("BoundHttp", (kind,), attributes)
