"""A websocket of a raw edge device: as cheap as can be, for processes that play thousands of
devices.

The hub's frames are never masked and never fragmented. Frames to it carry a masking key of zero,
which leaves the payload as it is.
"""

import asyncio
import base64
import os
import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

import msgspec

from actors.core.messages.edge_protocol import (
    SUBPROTOCOL_MSGPACK,
    Bye,
    Hello,
    Observe,
    Ping,
    Pong,
    ToEdge,
)

PER_FRAME = 64  # observations in one message at most

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ToEdge).decode


class EdgeSocket(asyncio.Protocol):
    """One socket. What comes of it is told to :meth:`opened`, :meth:`message` and :meth:`ended`,
    which heirs fill in."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._host, self._port, self._token = host, port, token
        self._buffer = b""
        self._shaken = False
        self._code, self._reason = 0, ""
        self._transport: asyncio.Transport | None = None

    def opened(self) -> None:
        """The handshake is done."""

    def message(self, message: ToEdge) -> None:
        """The hub said this. Pings are answered already."""

    def ended(self, code: int, reason: str) -> None:
        """The socket is gone; 0 where no close frame came, and `reason` of a refused handshake is
        its status line."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = opened = cast(asyncio.Transport, transport)
        key = base64.b64encode(os.urandom(16)).decode()
        opened.write(
            f"GET /v1/edge HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nUpgrade: "
            "websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: "
            f"{SUBPROTOCOL_MSGPACK}\r\n"
            f"Authorization: Bearer {self._token}\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended(self._code, self._reason)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data
        if not self._shaken:
            head, end, rest = buffer.partition(b"\r\n\r\n")
            if not end:
                self._buffer = buffer
                return
            status = head.split(b"\r\n", 1)[0]
            if b" 101 " not in status:
                self._reason = status.decode(errors="replace")
                self.abort()
                return
            self._shaken, buffer = True, rest
            self.opened()
        at = 0
        while len(buffer) - at >= 2:
            size, start = buffer[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, start = int.from_bytes(buffer[at + 2 : at + 10], "big"), at + 10
            if len(buffer) < start + size:
                break
            self._frame(buffer[at] & 0x0F, buffer[start : start + size])
            at = start + size
        self._buffer = buffer[at:]

    def send(self, message: Hello | Observe | Ping | Pong | Bye) -> None:
        """One message."""
        self.send_payload(_encode(message))

    def send_payload(self, payload: bytes) -> None:
        """One binary frame."""
        assert self._transport is not None
        size = len(payload)
        if size < 126:
            head = bytes((0x82, 0x80 | size))
        elif size < 65_536:
            head = struct.pack("!BBH", 0x82, 0xFE, size)
        else:
            head = struct.pack("!BBQ", 0x82, 0xFF, size)
        self._transport.write(head + b"\0\0\0\0" + payload)

    def close(self) -> None:
        """Say bye and go."""
        if self._transport is not None and not self._transport.is_closing():
            self.send(Bye(1000, "bench over"))
            self._transport.close()

    def abort(self) -> None:
        """Go without a word."""
        if self._transport is not None:
            self._transport.abort()

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode == 8:
            self._code, self._reason = (
                int.from_bytes(payload[:2], "big"),
                payload[2:].decode(errors="replace"),
            )
            self.abort()
        elif opcode == 2:
            message = _decode(payload)
            if isinstance(message, Ping):
                self.send(Pong())
            self.message(message)


def observe_head(camera: str) -> bytes:
    """The beginning of every ``observe`` of a camera."""
    return b"\x85\xa4type\xa7observe" + _encode("camera") + _encode(camera) + _encode("first_seq")


def observe(head: bytes, first_seq: int, items: Sequence[bytes]) -> bytes:
    """An ``observe`` joined from observations that are encoded already."""
    count = len(items)
    array = bytes((0x90 | count,)) if count < 16 else b"\xdc" + count.to_bytes(2, "big")
    return b"".join(
        (
            head,
            _encode(first_seq),
            b"\xacobservations",
            array,
            *items,
            b"\xa4sent",
            _encode(datetime.now(UTC)),
        )
    )
