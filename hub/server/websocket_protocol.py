"""Our websocket protocol under uvicorn: it gives the hub the transport, so that prebuilt frames go
out without a coroutine each, and adds the limits uvicorn 0.54 lacks (checked handshake, ping and
fragment floods, writers that never drain, closes that never finish).

Dashboards (:data:`DASHBOARD_PATH`) never become an ASGI application run: their messages go straight
to `hub.dashboards.connection`. Every other path runs the ASGI app as usual.
"""

import asyncio
import socket
from asyncio.transports import BaseTransport
from collections.abc import Sequence
from os import write as send
from typing import Any, ClassVar, Protocol
from urllib.parse import parse_qs

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request, Response
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from hub.access import client_address
from hub.access.client_address import Network
from hub.dashboards.connection import Dashboard
from hub.dashboards.handshake import Refusal
from hub.protocol.disconnects import POLICY_VIOLATION, CloseCode
from hub.protocol.paths import DASHBOARD_PATH
from hub.web.answer_headers import AnswerHeaders

SUBPROTOCOLS = {"centrifuge-json": "json", "centrifuge-protobuf": "protobuf"}

CLOSE_S = 5.0  # seconds a close may take before the socket is aborted
STALL_S = 30.0  # seconds an ASGI socket (the edge's) may stay above its write mark
PINGS_PER_S = 4.0
PINGS_BURST = 32.0
MAX_FRAGMENTS = 64  # of one message
# Messages an ASGI app has not taken yet (uvicorn ignores ws_max_queue here). One read of 256 KiB
# may bring so many of 64 bytes: a gateway says hello for 1,024 cameras in a row.
MAX_QUEUED = 4096
# bytes; what the kernel may hold unsent, so that the newest state is not behind megabytes of old
# ones
NOTSENT_LOWAT = 131_072
# bytes, which Linux doubles; without it the kernel takes megabytes for a client that reads nothing
SEND_BUFFER = 131_072
TCP_NOTSENT_LOWAT = 25  # Linux; not in the socket module of 3.11


def bound_buffers(transport: BaseTransport) -> Any:
    """Keep little in the kernel for a client that reads slowly; the socket, None where there is
    none."""
    raw = transport.get_extra_info("socket")
    if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
        raw.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_LOWAT)
        raw.setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER
        )  # the mark above is for polls; our writes do not ask first
    return raw


class SocketAdmission(Protocol):
    """What the hub says about new sockets."""

    def admit(self, path: str, origins: Sequence[str], address: str) -> Refusal | None:
        """Origin and connection limits; None lets it in."""

    def open(
        self, link: "HubWebSocket", codec: str, address: str, origins: Sequence[str]
    ) -> Dashboard:
        """A dashboard has connected."""


class AnsweringProtocol(ServerProtocol):
    """websockets' side of one connection: the one place that every answer to a handshake passes. A
    refusal is an answer like any other."""

    answer_headers = AnswerHeaders()
    tls = False

    def send_response(self, response: Response) -> None:
        if response.status_code != 101:
            for name, value in self.answer_headers.of(tls=self.tls):
                response.headers[name.decode("ascii")] = value.decode("latin-1")
        super().send_response(response)


class HubWebSocket(WebSocketsSansIOProtocol):
    """One websocket. Subclasses made by :func:`websocket_class` know who admits
    their connections."""

    admission: ClassVar[SocketAdmission]
    proxies: ClassVar[tuple[Network, ...]] = ()
    answer_headers: ClassVar[AnswerHeaders] = AnswerHeaders()

    dashboard: Dashboard | None = None
    _stall_timer: asyncio.TimerHandle | None = None
    _pings: float = PINGS_BURST
    _pings_at: float = 0.0
    _lost: bool = False
    _condemned: bool = False
    conn: AnsweringProtocol

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = AnsweringProtocol(max_size=self.config.ws_max_size, logger=self.logger)
        self.conn.answer_headers = self.answer_headers

    # handshake

    def handle_connect(self, event: Request) -> None:
        """Check origin and limits before anything is accepted."""
        offered = event.headers.get_all("Sec-WebSocket-Protocol")
        if offered and not any(value.strip() for value in offered):
            del event.headers[
                "Sec-WebSocket-Protocol"
            ]  # centrifuge-python up to 0.5.0 sends an empty one
            offered = []
        path, _, query = event.path.partition("?")
        address = client_address.address(
            self.client[0] if self.client else "",
            event.headers.get_all("X-Forwarded-For"),
            self.proxies,
        )
        refusal = self.admission.admit(path, event.headers.get_all("Origin"), address)
        if refusal is not None:
            self._refuse(refusal)
            return
        if path != DASHBOARD_PATH:
            super().handle_connect(event)
            return
        names = [name.strip() for value in offered for name in value.split(",")]
        chosen = next((name for name in names if name in SUBPROTOCOLS), None)
        if names and chosen is None:
            self._refuse(
                Refusal(400, "Known subprotocols: centrifuge-json, centrifuge-protobuf.\n")
            )
            return
        self._accept(event, chosen, SUBPROTOCOLS[chosen] if chosen else _codec_of(query), address)

    def _accept(self, event: Request, subprotocol: str | None, codec: str, address: str) -> None:
        self.handshake_initiated = True
        response = self.conn.accept(event)
        self.handshake_complete = True
        if response.status_code == 101 and subprotocol is not None:
            response.headers["Sec-WebSocket-Protocol"] = subprotocol
        self.conn.send_response(response)
        self.transport.write(b"".join(self.conn.data_to_send()))
        if response.status_code != 101:
            self.close_sent = True
            self._finish()
            return
        raw = bound_buffers(self.transport)
        self.dashboard = self.admission.open(self, codec, address, event.headers.get_all("Origin"))
        if raw is not None and self.transport.get_extra_info("sslcontext") is None:
            self.dashboard.fd = raw.fileno()

    def _refuse(self, refusal: Refusal) -> None:
        self.handshake_initiated = self.handshake_complete = self.close_sent = True
        response = self.conn.reject(refusal.status, refusal.text)
        for name, value in refusal.headers.items():
            response.headers[name] = value
        self.conn.send_response(response)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self._finish()

    # incoming

    def handle_cont(self, event: Frame) -> None:
        """Bound the fragments of one message: empty ones cost the peer nothing and us an entry
        each."""
        if self._condemned:
            return
        if len(self.frames) >= MAX_FRAGMENTS:
            self._violation()
            return
        super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Hand a whole message to the dashboard, or queue it for the ASGI app."""
        dashboard = self.dashboard
        if dashboard is None:
            if self.queue.qsize() >= MAX_QUEUED:
                self._violation()
                return
            super().send_receive_event_to_app()
            return
        data = bytes(self.frames[0]) if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        if self.curr_msg_data_type == "text":
            try:
                data.decode()
            except UnicodeDecodeError:
                self.conn.fail(1007, "not UTF-8")
                self.handle_parser_exception()
                return
        dashboard.on_message(data)

    def handle_ping(self) -> None:
        """Answer pings, but neither a flood of them nor a peer that does not read the answers (trap
        U5)."""
        if self._condemned:
            return
        now = self.loop.time()
        self._pings = min(PINGS_BURST, self._pings + (now - self._pings_at) * PINGS_PER_S) - 1
        self._pings_at = now
        blocked = self._stall_timer is not None or (
            self.dashboard is not None and self.dashboard.outbox is not None
        )
        if self._pings < 0 or (blocked and self._pings < PINGS_BURST / 2):
            self._violation()
            return
        super().handle_ping()
        if self.dashboard is not None:
            self.dashboard.through = True

    def data_received(self, data: bytes) -> None:
        """See asyncio. After an error of the peer the rest is thrown away unread by us, so that the
        close frame is not lost to a reset."""
        if not self._condemned:
            super().data_received(data)

    def handle_parser_exception(self) -> None:
        """An error of the peer: send the close frame, then wait for it to go."""
        closed = self.conn.close_sent
        self._condemned = True
        self.frames = []
        if closed is None:  # the handshake itself
            self._finish()
            return
        self.queue.put_nowait(
            {"type": "websocket.disconnect", "code": closed.code, "reason": closed.reason}
        )
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.resume_reading()
        self._finish(within_s=CLOSE_S)

    def handle_close(self, event: Frame) -> None:
        """The peer closes."""
        super().handle_close(event)
        self._finish()

    # the transport

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        self.conn.tls = self.scheme == "wss"
        self._pings_at = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._cancel_stall()
        super().connection_lost(exc)
        if self.dashboard is not None:
            self.dashboard.fd = -1
            self.dashboard.through = True
            self.dashboard.on_lost()
            self.dashboard = None

    def pause_writing(self) -> None:
        """The peer does not read."""
        super().pause_writing()
        if self.dashboard is not None:
            self.dashboard.on_blocked()
        elif self._stall_timer is None:
            self._stall_timer = self.loop.call_later(STALL_S, self._abort)

    def resume_writing(self) -> None:
        """The peer reads again."""
        super().resume_writing()
        self._cancel_stall()
        if self.dashboard is not None:
            self.dashboard.on_drained()

    def shutdown(self) -> None:
        """The server stops. Dashboards were told before (`hub.server.uvicorn_server`); what is left
        is closed."""
        super().shutdown()
        self._finish()

    async def send(self, message: ASGISendEvent) -> None:
        """See ASGI. A close that the peer does not answer ends in an abort; uvicorn would wait
        until all is written."""
        await super().send(message)
        if message["type"] == "websocket.close":
            self._finish(within_s=CLOSE_S)

    # for the hub

    def write(self, data: bytes) -> None:
        """Send ready frames: by the system call itself while the transport holds nothing, else (or
        with TLS) through the transport.

        The transport closes the descriptor only after `connection_lost`, which forgets it; so it is
        never somebody else's.
        """
        dashboard = self.dashboard
        if (
            dashboard is not None
            and dashboard.fd >= 0
            and not self.transport.get_write_buffer_size()
        ):
            dashboard.through = False
            try:
                sent = send(dashboard.fd, data)
            except OSError:  # full, or broken: then the transport meets the same error and tells it
                sent = 0
            if sent == len(data):
                return
            dashboard.through = True
            data = data[sent:]
        self.transport.write(data)

    def pause_reading(self) -> None:
        """Take no more input for now."""
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Take input again."""
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def close(self, close: CloseCode) -> None:
        """Send a close frame; the socket is gone after :data:`CLOSE_S` at the latest."""
        if not self.close_sent and not self.transport.is_closing() and self.conn.state is OPEN:
            self.conn.send_close(close.code, close.reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
            self.transport.resume_reading()
        self._finish(within_s=CLOSE_S)

    # endings

    def _violation(self) -> None:
        if not self.close_sent and self.conn.state is OPEN:
            self.conn.fail(POLICY_VIOLATION.code, POLICY_VIOLATION.reason)
            self.handle_parser_exception()

    def _finish(self, within_s: float = 0.0) -> None:
        """Close the transport, at once or when the peer has answered, and abort it when that takes
        too long."""
        if self._lost:
            return
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(CLOSE_S, self._abort)
        if not within_s:
            self.transport.close()

    def _abort(self) -> None:
        self._cancel_stall()
        if not self._lost:
            self.transport.abort()

    def _cancel_stall(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None


def websocket_class(
    admission: SocketAdmission, headers: AnswerHeaders, proxies: tuple[Network, ...] = ()
) -> type[HubWebSocket]:
    """The protocol class of one hub: uvicorn makes the instances, so the class carries the hub, its
    headers and the proxies it believes."""
    attributes = {"admission": admission, "proxies": proxies, "answer_headers": headers}
    return type("BoundHubWebSocket", (HubWebSocket,), attributes)


def _codec_of(query: str) -> str:
    asked = parse_qs(query)
    return (
        "protobuf"
        if "protobuf" in (asked.get("format") or asked.get("cf_protocol") or [])
        else "json"
    )
