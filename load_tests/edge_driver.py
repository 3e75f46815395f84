"""Raw edge devices for load tests: open loop, credits obeyed, in a process of its own and as cheap as can be.

Site gateways: one socket carries several cameras. Observations are encoded before the run; a frame is joined from slices of them, with a
masking key of zero, which leaves the payload as it is.
"""

import asyncio
import base64
import os
import struct
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import cast

import msgspec
import uvloop

from actors.core.edge_protocol import SUBPROTOCOL_MSGPACK, Ack, Bye, Hello, Ping, Pong, Reject, Resync, ToEdge, Welcome
from actors.core.errors import StartError
from load_tests.histogram import Histogram
from load_tests.scenarios import Schedule

TICK_S = 0.01  # seconds between two looks at what is due
PER_FRAME = 64  # observations in one message at most
WELCOME_S = 60.0  # an actor may have to be started first
DRAIN_S = 20.0  # seconds the last acks may take
PROGRESS_S = 1.0  # seconds between two words about how it goes

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ToEdge).decode


class Plan(msgspec.Struct, frozen=True):
    """One run. `rate`: observations per second and camera; `sockets`: the cameras of each. With `rates` (see `scenarios.Schedule`) the
    rate changes over the run, latencies go into histograms per second, and every ack is noted."""

    host: str
    port: int
    token: str
    session: str
    sockets: list[list[str]]
    rate: float
    warm_s: float
    measure_s: float
    rates: list[float] = []


class Driven(msgspec.Struct, frozen=True):
    """What was acked in the measured window, and how long acks took there (seconds, of every observation, sorted): from sending, and from
    the moment the schedule wanted it sent. `sent`, `acked` and `resent` count the whole run. With `Plan.rates` the lists are empty;
    `by_second`: second of the run → buckets of a histogram, from the due time; `acks`: (camera, seq, seconds of the wall clock)."""

    window_s: float
    in_window: int
    from_sent_s: list[float]
    from_due_s: list[float]
    sent: dict[str, int]
    acked: dict[str, int]
    resent: int
    cpu_s: float
    by_second: dict[int, dict[int, int]] = {}
    acks: list[tuple[str, int, float]] = []


class Progress(msgspec.Struct, frozen=True):
    """How it goes, told about once a second where `Plan.rates` is given. Totals since the beginning but for `latency`: buckets of a
    histogram of what was acked since the word before. `credits`: observations that may be sent now; `waiting`: due and not sent;
    `oldest_s`: how long the oldest observation without an ack has been due."""

    sent: int = 0
    acked: int = 0
    resent: int = 0
    credits: int = 0
    waiting: int = 0
    oldest_s: float = 0.0
    latency: dict[int, int] = {}


class _Camera:
    __slots__ = ("acked", "head", "limit", "name", "out", "sent", "socket")

    def __init__(self, name: str, socket: "_Socket") -> None:
        self.name = name
        self.socket = socket
        self.sent = self.acked = 0
        self.limit = -1
        self.out: deque[tuple[int, float]] = deque()  # (last seq of a frame, when it was sent)
        self.head = b"\x85\xa4type\xa7observe" + _encode("camera") + _encode(name) + _encode("first_seq")


class _Socket(asyncio.Protocol):
    """One websocket client. The hub's frames are never masked and never fragmented."""

    def __init__(self, cameras: Sequence[str], plan: Plan, on_ack: Callable[[_Camera], None]) -> None:
        self.cameras = {name: _Camera(name, self) for name in cameras}
        self.failed = ""
        self.resent = 0
        self._plan = plan
        self._on_ack = on_ack
        self._buffer = b""
        self._shaken = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = opened = cast(asyncio.Transport, transport)
        key = base64.b64encode(os.urandom(16)).decode()
        opened.write(
            f"GET /v1/edge HTTP/1.1\r\nHost: {self._plan.host}:{self._plan.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {SUBPROTOCOL_MSGPACK}\r\n"
            f"Authorization: Bearer {self._plan.token}\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self.failed = self.failed or "the hub closed the connection"

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data
        if not self._shaken:
            head, end, rest = buffer.partition(b"\r\n\r\n")
            if not end:
                self._buffer = buffer
                return
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                self.failed = f"the hub refused the socket: {head[:200]!r}"
                return
            self._shaken, buffer = True, rest
            for camera in self.cameras:
                self.send(_encode(Hello(camera, self._plan.session, 1)))
        at = 0
        while len(buffer) - at >= 2:
            size, start = buffer[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, start = int.from_bytes(buffer[at + 2 : at + 10], "big"), at + 10
            if len(buffer) < start + size:
                break
            if buffer[at] & 0x0F == 2:
                self._message(_decode(buffer[start : start + size]))
            at = start + size
        self._buffer = buffer[at:]

    def send(self, payload: bytes) -> None:
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
            self.send(_encode(Bye(1000, "bench over")))
            self._transport.close()

    def _message(self, message: ToEdge) -> None:
        match message:
            case Ack():
                camera = self.cameras[message.camera]
                camera.acked = max(camera.acked, message.seq)
                camera.limit = message.seq + message.credits
                self._on_ack(camera)
            case Welcome():
                self.cameras[message.camera].limit = message.resume_from - 1 + message.credits
            case Resync():
                camera = self.cameras[message.camera]
                self.resent += max(0, camera.sent - message.resume_from + 1)
                camera.sent = message.resume_from - 1
                camera.out.clear()
            case Ping():
                self.send(_encode(Pong()))
            case Bye() | Reject():
                self.failed = self.failed or f"the hub said {message}"
            case Pong():
                pass


class _Run:
    def __init__(self, plan: Plan, pool: Sequence[bytes]) -> None:
        self._plan = plan
        self._pool = pool
        self._began = self._window_from = self._window_to = float("inf")
        self._in_window = 0
        self._from_sent: list[float] = []
        self._from_due: list[float] = []
        self._sockets = [_Socket(cameras, plan, self._acked) for cameras in plan.sockets]
        self._cameras = [camera for socket in self._sockets for camera in socket.cameras.values()]
        self._scored = dict.fromkeys((camera.name for camera in self._cameras), 0)
        self._sending = True
        self._schedule = Schedule(plan.rates) if plan.rates else None
        self._by_second: dict[int, Histogram] = {}
        self._acks: list[tuple[str, int, float]] = []
        self._recent = Histogram()
        self._told_s = 0.0

    async def run(self, pipe: Connection) -> Driven:
        loop = asyncio.get_running_loop()
        for socket in self._sockets:
            await loop.create_connection(lambda socket=socket: socket, self._plan.host, self._plan.port)  # type: ignore[misc]
        await self._until(lambda: all(camera.limit >= 0 for camera in self._cameras), WELCOME_S, "every camera is welcome")
        pipe.send("welcome")
        await asyncio.to_thread(pipe.recv)
        cpu = time.process_time()
        self._began = time.perf_counter()
        self._window_from = self._began + self._plan.warm_s
        self._window_to = self._window_from + self._plan.measure_s
        told = 0
        while (now := time.perf_counter()) < self._window_to:
            if told == 0 and now >= self._window_from:
                told = 1
                pipe.send("window")
            for camera in self._cameras:
                self._fill(camera, now)
            self._check()
            if self._schedule is not None and now - self._began >= self._told_s + PROGRESS_S:
                pipe.send(self._progress(now - self._began, self._schedule))
            await asyncio.sleep(TICK_S)
        pipe.send("over")
        self._sending = False
        cpu = time.process_time() - cpu
        await self._until(lambda: all(camera.acked >= camera.sent for camera in self._cameras), DRAIN_S, "everything sent is acked")
        for socket in self._sockets:
            socket.close()
        return Driven(
            self._plan.measure_s, self._in_window, sorted(self._from_sent), sorted(self._from_due),
            {camera.name: camera.sent for camera in self._cameras}, {camera.name: camera.acked for camera in self._cameras},
            sum(socket.resent for socket in self._sockets), cpu,
            {second: dict(found.counts) for second, found in self._by_second.items()}, self._acks,
        )  # fmt: skip

    def _progress(self, at_s: float, schedule: Schedule) -> Progress:
        """And begin the next one."""
        recent, self._recent, self._told_s = self._recent, Histogram(), at_s
        due = min(schedule.due(at_s), len(self._pool))
        late = [schedule.at(camera.acked + 1) for camera in self._cameras if camera.acked < due]
        return Progress(
            sum(camera.sent for camera in self._cameras), sum(camera.acked for camera in self._cameras),
            sum(socket.resent for socket in self._sockets), sum(max(0, camera.limit - camera.sent) for camera in self._cameras),
            sum(max(0, due - camera.sent) for camera in self._cameras), at_s - min(late, default=at_s), dict(recent.counts),
        )  # fmt: skip

    def _fill(self, camera: _Camera, now: float) -> None:
        """Send what is due and admitted."""
        wanted = self._schedule.due(now - self._began) if self._schedule else int((now - self._began) * self._plan.rate)
        due = min(wanted, camera.limit, len(self._pool))
        while camera.sent < due:
            first, last = camera.sent, min(due, camera.sent + PER_FRAME)
            items = self._pool[first:last]
            count = len(items)
            array = bytes((0x90 | count,)) if count < 16 else b"\xdc" + count.to_bytes(2, "big")
            payload = b"".join(
                (camera.head, _encode(first + 1), b"\xacobservations", array, *items, b"\xa4sent", _encode(datetime.now(UTC)))
            )
            camera.sent = last
            camera.out.append((last, now))
            camera.socket.send(payload)

    def _acked(self, camera: _Camera) -> None:
        now = time.perf_counter()
        before, self._scored[camera.name] = self._scored[camera.name], camera.acked
        inside = self._window_from <= now < self._window_to
        if inside:
            self._in_window += camera.acked - before
        if self._schedule is not None and camera.acked > before:
            self._acks.append((camera.name, camera.acked, time.time()))
            second = self._by_second.setdefault(int(now - self._began), Histogram())
            for seq in range(before + 1, camera.acked + 1):
                took_s = now - self._began - self._schedule.at(seq)
                second.add(took_s)
                self._recent.add(took_s)
            inside = False
        start = before
        while camera.out and start < camera.acked:
            last, sent_at = camera.out[0]
            upto = min(last, camera.acked)
            if inside:
                self._from_sent.extend([now - sent_at] * (upto - start))
                self._from_due.extend(now - self._began - seq / self._plan.rate for seq in range(start + 1, upto + 1))
            start = upto
            if last <= camera.acked:
                camera.out.popleft()
        if self._sending and camera.limit > camera.sent:
            self._fill(camera, now)

    def _check(self) -> None:
        for socket in self._sockets:
            if socket.failed:
                raise StartError(f"a device of the bench was turned away: {socket.failed}")

    async def _until(self, condition: Callable[[], bool], within_s: float, what: str) -> None:
        deadline = time.perf_counter() + within_s
        while not condition():
            self._check()
            if time.perf_counter() > deadline:
                raise StartError(f"within {within_s:g} s this did not come true: {what}")
            await asyncio.sleep(TICK_S)


def drive(pipe: Connection, pool: list[bytes]) -> None:
    """The process: plans come over `pipe`, one by one; None ends it. Answers ``welcome``, ``window``, ``over``, then
    :class:`Driven`; with `Plan.rates` a :class:`Progress` about every second until ``over``."""
    while (plan := pipe.recv()) is not None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                pipe.send(runner.run(_Run(plan, pool).run(pipe)))
        except (StartError, OSError) as error:
            pipe.send(error)
