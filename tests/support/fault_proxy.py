"""A TCP proxy on loopback that does to a websocket what links do: cuts it at a chosen place in a frame, loses one direction, is slow.

Frames are read as RFC 6455 has them (section 5.2), so that a cut can be placed by what it hits. Planned cuts happen once each, in order;
`cuts` says what has really happened: a fault that did not happen proves nothing.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

Where = Literal["before", "header", "payload", "sent", "acked"]
How = Literal["rst", "fin"]
Side = Literal["edge", "hub"]  # who sent the bytes

MAX_CONNECTIONS = 64
CHUNK = 65_536
FLUSH_S = 0.02  # seconds for the bytes before a reset to leave
MAX_FRAME = 1_048_576  # bytes of one frame that is held to look at it


@dataclass(frozen=True)
class Cut:
    """Cut at the `number`-th frame of the edge that `counts` (from its payload): ``before`` it, inside its ``header`` or ``payload``,
    after it was ``sent`` but before the answer that `answers` came through, or after that answer (``acked``)."""

    where: Where
    counts: Callable[[bytes], bool]
    answers: Callable[[bytes], bool]
    number: int = 1
    how: How = "rst"


class FaultProxy:
    """Listens on `port` of loopback and forwards to `target` (host, port). Switches may be set at any time."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.port = 0
        self.latency_s = 0.0  # before every chunk, either way
        self.lost: set[Side] = set()  # half open: what these sides send is read and thrown away
        self.limit: tuple[int, How] | None = None  # once: cut after so many more bytes of the edge
        self.plan: deque[Cut] = deque()
        self.cuts: list[str] = []
        self.connections = 0
        self.bytes: dict[Side, int] = {"edge": 0, "hub": 0}
        self.open: set[_Link] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "FaultProxy":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=CHUNK)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._server is not None
        self._server.close()
        for link in list(self.open):
            link.end("rst")
        while self.open:
            await asyncio.sleep(0.005)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if len(self.open) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        try:
            upstream = await asyncio.open_connection(*self.target, limit=CHUNK)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(self, writer, upstream[1])
        self.open.add(link)
        try:
            await asyncio.gather(link.pump(reader, "edge"), link.pump(upstream[0], "hub"))
        finally:
            await link.ended()
            self.open.discard(link)


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy: FaultProxy, edge: asyncio.StreamWriter, hub: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._writers: dict[Side, asyncio.StreamWriter] = {"edge": hub, "hub": edge}  # by who sends
        self._counted = 0
        self._waits: Cut | None = None  # it was sent, its answer is awaited
        self._stopped = False
        self._over = False

    def end(self, how: How) -> None:
        """Both sockets are closed; with ``rst`` the peers see a reset."""
        if self._over:
            return
        self._over = True
        for writer in self._writers.values():
            if how == "rst":
                connection = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()

    async def ended(self) -> None:
        """Wait for a cut that is under way, then close what is open."""
        while self._stopped and not self._over:
            await asyncio.sleep(FLUSH_S)
        self.end("fin")

    async def pump(self, reader: asyncio.StreamReader, side: Side) -> None:
        """Carry what `side` sends until the end."""
        frames = _Frames()
        try:
            while not (self._over or self._stopped) and (chunk := await reader.read(CHUNK)):
                if self._proxy.latency_s:
                    await asyncio.sleep(self._proxy.latency_s)
                if side in self._proxy.lost:
                    continue
                for raw, payload, head in frames.feed(chunk):
                    self._decide(side, raw, payload, head)
                    if self._over or self._stopped:
                        return
                await self._writers[side].drain()
        except (ConnectionError, OSError):
            self.end("rst")
        else:
            if not self._stopped:
                self.end("fin")

    def _decide(self, side: Side, raw: bytes, payload: bytes, head: int) -> None:
        """Forward one frame (or what is none), or cut the connection in it."""
        proxy = self._proxy
        if side == "edge":
            cut = self._due(payload)
            if cut is not None and cut.where in ("before", "header", "payload"):
                part = {"before": 0, "header": max(head // 2, 1), "payload": head + (len(raw) - head) // 2}[cut.where]
                self._cut(cut.where, cut.how, raw[:part])
                return
            if cut is not None:
                self._waits = cut
            if proxy.limit is not None:
                left, how = proxy.limit
                if len(raw) >= left:
                    proxy.limit = None
                    self._cut("limit", how, raw[:left])
                    return
                proxy.limit = (left - len(raw), how)
        elif self._waits is not None and self._waits.answers(payload):
            cut, self._waits = self._waits, None
            if cut.where == "acked":
                self._forward(side, raw)
            self._cut(cut.where, cut.how, b"")
            return
        self._forward(side, raw)

    def _due(self, payload: bytes) -> Cut | None:
        plan = self._proxy.plan
        if not plan or self._waits is not None or not plan[0].counts(payload):
            return None
        self._counted += 1
        if self._counted < plan[0].number:
            return None
        self._counted = 0
        return plan.popleft()

    def _forward(self, side: Side, raw: bytes) -> None:
        if raw and not self._stopped and not self._writers[side].is_closing():
            self._writers[side].write(raw)
            self._proxy.bytes[side] += len(raw)

    def _cut(self, what: str, how: How, last: bytes) -> None:
        self._forward("edge", last)
        self._proxy.cuts.append(what)
        if how == "fin" or not last:
            self.end(how)
            return
        # A reset throws away what is not sent yet: the bytes before the cut get a moment to leave, nothing follows them.
        self._stopped = True
        asyncio.get_running_loop().call_later(FLUSH_S, self.end, how)


class _Frames:
    """Cuts a byte stream into (raw, payload, header length): the HTTP head first, then websocket frames. Anything else passes."""

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


@asynccontextmanager
async def fault_proxy(target: tuple[str, int]) -> AsyncIterator[FaultProxy]:
    """A running proxy."""
    async with FaultProxy(target) as proxy:
        yield proxy
