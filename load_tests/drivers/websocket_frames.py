"""Websocket frames (RFC 6455, section 5.2) in a byte stream, for those who handle sockets without a
library (pure)."""

from typing import Literal

MAX_FRAME = 1_048_576  # bytes of one frame that is held to look at it


class Frames:
    """Cuts a byte stream into (raw, payload, header length): the HTTP head first, then websocket
    frames. Anything else passes."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._mode: Literal["head", "frames", "raw"] = "head"

    def feed(self, chunk: bytes) -> list[tuple[bytes, bytes, int]]:
        """What is complete now."""
        self._held += chunk
        if self._mode == "head":
            if not self._held.startswith((b"GET ", b"HTTP/")):
                self._mode = "raw"
            elif (end := self._held.find(b"\r\n\r\n")) < 0:
                return []
            else:
                self._mode = "frames"
                return [(self._take(end + 4), b"", 0), *self.feed(b"")]
        if self._mode == "raw":
            return [(self._take(len(self._held)), b"", 0)] if self._held else []
        found = []
        while (frame := self._frame()) is not None:
            found.append(frame)
        return found

    def _frame(self) -> tuple[bytes, bytes, int] | None:
        held = self._held
        if len(held) < 2:
            return None
        size, head = held[1] & 0x7F, 2
        if size == 126:
            size, head = int.from_bytes(held[2:4], "big"), 4
        elif size == 127:
            size, head = int.from_bytes(held[2:10], "big"), 10
        masked = bool(held[1] & 0x80)
        head += 4 if masked else 0
        if len(held) < head or len(held) < head + min(size, MAX_FRAME):
            return None
        raw = self._take(head + size)
        payload = raw[head:]
        if masked:
            key = raw[head - 4 : head] * (size // 4 + 1)
            payload = bytes(a ^ b for a, b in zip(payload, key, strict=False))
        return raw, payload, head

    def _take(self, count: int) -> bytes:
        taken = bytes(self._held[:count])
        del self._held[:count]
        return taken
