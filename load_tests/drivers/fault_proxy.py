"""A TCP proxy on loopback that does to a websocket what links do: it is slow, cuts it at a chosen
place in a frame, loses one direction, falls silent, damages a frame.

Frames are read as RFC 6455 has them (section 5.2), so that a fault can be placed by what it hits.
Planned faults happen once each, in order; `cuts` says what has really happened: a fault that did
not happen proves nothing.
"""

import asyncio
import contextlib
import random
import socket
import struct
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from load_tests.drivers.websocket_frames import Frames

Where = Literal["before", "header", "payload", "sent", "acked"]
How = Literal["rst", "fin"]
Side = Literal["edge", "hub"]  # who sent the bytes: the client of the proxy, or its target
Flip = Literal["header", "payload"]

MAX_CONNECTIONS = 1_024
CHUNK = 65_536
UNDER_WAY = 64  # chunks of one direction that are delayed at once; more are not read
FLUSH_S = 0.02  # seconds for the bytes before a reset to leave
STALL_LOOK_S = 0.02  # seconds between two looks whether a stalled direction goes on


@dataclass(frozen=True)
class Cut:
    """Cut at the `number`-th frame of the edge that `counts` (from its payload): ``before`` it,
    inside its ``header`` or ``payload``, after it was ``sent`` but before the answer that `answers`
    came through, or after that answer (``acked``)."""

    where: Where
    counts: Callable[[bytes], bool]
    answers: Callable[[bytes], bool]
    number: int = 1
    how: How = "rst"


class FaultProxy:
    """Listens on `port` of loopback and forwards to `target` (host, port). Switches may be set at
    any time; `seed` decides the jitter.

    `latency_s` and `jitter_s` (uniform, on top) delay every chunk either way, in order.
    `bytes_per_s` holds a side's bytes to a bandwidth. `lost`: what these sides send is read and
    thrown away (half open); a stream that lacks bytes is reset when the loss ends. `stalled`: what
    these sides send is not read and goes on afterwards (a blackhole, as TCP sees it). `limit`:
    once, cut after so many more bytes of the edge. `plan`: cuts. `flips`: one bit of the next frame
    of the edge that `flips_hit` accepts is turned over, in its header or in the first byte of its
    payload, where every encoding notices it.
    """

    def __init__(self, target: tuple[str, int], *, seed: int = 0) -> None:
        self.target = target
        self.port = 0
        self.latency_s = 0.0
        self.jitter_s = 0.0
        self.bytes_per_s: dict[Side, float] = {}
        self.lost: set[Side] = set()
        self.stalled: set[Side] = set()
        self.limit: tuple[int, How] | None = None
        self.plan: deque[Cut] = deque()
        self.flips: deque[Flip] = deque()
        self.flips_hit: Callable[[bytes], bool] = bool
        self.cuts: list[str] = []
        self.connections = 0
        self.bytes: dict[Side, int] = {"edge": 0, "hub": 0}
        self.thrown_away = 0  # bytes of lost directions
        self.open: set[_Link] = set()
        self.dice = random.Random(seed)
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "FaultProxy":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=CHUNK)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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

    def __init__(
        self, proxy: FaultProxy, edge: asyncio.StreamWriter, hub: asyncio.StreamWriter
    ) -> None:
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
                if connection is not None:  # of a transport that is closed already
                    connection.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
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
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(UNDER_WAY)
        delivering = asyncio.create_task(self._deliver(under_way, side))
        due = 0.0
        try:
            while not (self._over or self._stopped) and (chunk := await self._read(reader, side)):
                proxy = self._proxy
                delay = proxy.latency_s + (
                    proxy.dice.uniform(0.0, proxy.jitter_s) if proxy.jitter_s else 0.0
                )
                due = max(due, time.monotonic() + delay)
                if delivering.done():
                    break
                await under_way.put((due, chunk))
            await under_way.put((due, b""))
            await delivering
        except (ConnectionError, OSError):
            self.end("rst")
        else:
            if not self._stopped:
                self.end("fin")
        finally:
            delivering.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await delivering

    async def _read(self, reader: asyncio.StreamReader, side: Side) -> bytes:
        while side in self._proxy.stalled and not self._over:
            await asyncio.sleep(STALL_LOOK_S)
        return await reader.read(CHUNK)

    async def _deliver(self, under_way: asyncio.Queue[tuple[float, bytes]], side: Side) -> None:
        """Write what is due, in order, until an empty chunk; what is left then is dropped, so that
        nobody waits for room."""
        try:
            await self._deliver_all(under_way, side)
        finally:
            while not under_way.empty():
                under_way.get_nowait()

    async def _deliver_all(self, under_way: asyncio.Queue[tuple[float, bytes]], side: Side) -> None:
        frames, torn, proxy = Frames(), False, self._proxy
        while not (self._over or self._stopped):
            due, chunk = await under_way.get()
            if not chunk:
                return
            if (left := due - time.monotonic()) > 0:
                await asyncio.sleep(left)
            while side in proxy.stalled and not self._over:
                await asyncio.sleep(STALL_LOOK_S)
            if side in proxy.lost:
                proxy.thrown_away += len(chunk)
                torn = True
                continue
            if torn:
                self.end("rst")  # bytes are missing: no network gives such a stream to its reader
                return
            for raw, payload, head in frames.feed(chunk):
                await self._slowly(side, len(raw))
                self._decide(side, raw, payload, head)
                if self._over or self._stopped:
                    return
            await self._writers[side].drain()

    async def _slowly(self, side: Side, size: int) -> None:
        """Wait as long as these bytes take at the bandwidth of the side."""
        if per_s := self._proxy.bytes_per_s.get(side, 0.0):
            await asyncio.sleep(size / per_s)

    def _decide(self, side: Side, raw: bytes, payload: bytes, head: int) -> None:
        """Forward one frame (or what is none), or cut the connection in it."""
        proxy = self._proxy
        if side == "edge":
            cut = self._due(payload)
            if cut is not None and cut.where in ("before", "header", "payload"):
                part = {
                    "before": 0,
                    "header": max(head // 2, 1),
                    "payload": head + (len(raw) - head) // 2,
                }[cut.where]
                self._cut(cut.where, cut.how, raw[:part])
                return
            if cut is not None:
                self._waits = cut
            raw = self._flipped(raw, payload, head)
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

    def _flipped(self, raw: bytes, payload: bytes, head: int) -> bytes:
        """The frame with one bit turned over, if that is planned: a reserved bit of the header, or
        a bit of the payload's first byte."""
        proxy = self._proxy
        if not proxy.flips or not head or not payload or not proxy.flips_hit(payload):
            return raw
        flip = proxy.flips.popleft()
        damaged = bytearray(raw)
        damaged[0 if flip == "header" else head] ^= 0x40
        proxy.cuts.append(f"flip {flip}")
        return bytes(damaged)

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
        # A reset throws away what is not sent yet: the bytes before the cut get a moment to leave,
        # nothing follows them.
        self._stopped = True
        asyncio.get_running_loop().call_later(FLUSH_S, self.end, how)


@asynccontextmanager
async def fault_proxy(target: tuple[str, int], *, seed: int = 0) -> AsyncIterator[FaultProxy]:
    """A running proxy."""
    async with FaultProxy(target, seed=seed) as proxy:
        yield proxy
