"""Websocket frames of a server, built as bytes (pure; RFC 6455, 5.2). Server frames are not masked,
so one frame serves everybody."""

import struct

from hub.protocol.disconnects import MAX_REASON_BYTES

TEXT = 0x81
BINARY = 0x82
CLOSE = 0x88
PONG = 0x8A


def frame(opcode: int, payload: bytes) -> bytes:
    """One whole frame (FIN set); `opcode` is one of the constants above."""
    size = len(payload)
    if size < 126:
        return bytes((opcode, size)) + payload
    if size < 65_536:
        return struct.pack("!BBH", opcode, 126, size) + payload
    return struct.pack("!BBQ", opcode, 127, size) + payload


def close(code: int, reason: str) -> bytes:
    """A close frame; the reason is cut to what a control frame carries, never inside a
    character."""
    text = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore").encode()
    return frame(CLOSE, struct.pack("!H", code) + text)
