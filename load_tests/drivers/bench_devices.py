"""Raw edge devices for benches: open loop, credits obeyed, in a process of its own and as cheap as
can be. A connection that ends fails the bench; the devices of scenarios
(`load_tests.drivers.devices`) come back.

Site gateways: one socket carries several cameras. Observations are encoded before the run; a frame
is joined from slices of them.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

import msgspec
import uvloop

from actors.core.errors import StartError
from actors.core.messages.edge_protocol import (
    Ack,
    Bye,
    Hello,
    Ping,
    Pong,
    Reject,
    Resync,
    ToEdge,
    Welcome,
)
from load_tests.drivers.edge_socket import PER_FRAME, EdgeSocket, observe, observe_head

TICK_S = 0.01  # seconds between two looks at what is due
WELCOME_S = 60.0  # an actor may have to be started first
# policy had no answer in time, as when a hundred cameras come at once: a device comes back
NO_DECISION = 4013
RETRY_S = 0.25
DRAIN_S = 20.0  # seconds the last acks may take


class DriverPlan(msgspec.Struct, frozen=True):
    """One run. `rate`: observations per second and camera; `sockets`: the cameras of each."""

    host: str
    port: int
    token: str
    session: str
    sockets: list[list[str]]
    rate: float
    warm_s: float
    measure_s: float
    welcome_s: float = WELCOME_S


class Driven(msgspec.Struct, frozen=True):
    """What was acked in the measured window, and how long acks took there (seconds, of every
    observation, sorted): from sending, and from the moment the schedule wanted it sent. `sent`,
    `acked` and `resent` count the whole run."""

    window_s: float
    in_window: int
    from_sent_s: list[float]
    from_due_s: list[float]
    sent: dict[str, int]
    acked: dict[str, int]
    resent: int
    cpu_s: float


class _Camera:
    __slots__ = ("acked", "head", "limit", "name", "out", "sent", "socket")

    def __init__(self, name: str, socket: "_Socket") -> None:
        self.name = name
        self.socket = socket
        self.sent = self.acked = 0
        self.limit = -1
        self.out: deque[tuple[int, float]] = deque()  # (last seq of a frame, when it was sent)
        self.head = observe_head(name)


class _Socket(EdgeSocket):
    def __init__(
        self, cameras: Sequence[str], plan: DriverPlan, on_ack: Callable[[_Camera], None]
    ) -> None:
        super().__init__(plan.host, plan.port, plan.token)
        self.cameras = {name: _Camera(name, self) for name in cameras}
        self.failed = ""
        self.resent = 0
        self._session = plan.session
        self._on_ack = on_ack

    def opened(self) -> None:
        for camera in self.cameras:
            self.send(Hello(camera, self._session, 1))

    def ended(self, code: int, reason: str) -> None:
        self.failed = self.failed or f"the hub closed the connection: {code} {reason}"

    def message(self, message: ToEdge) -> None:
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
            case Bye(code=code, camera=str(name)) if (
                code == NO_DECISION and self.cameras[name].limit < 0
            ):
                asyncio.get_running_loop().call_later(
                    RETRY_S, self.send, Hello(name, self._session, 1)
                )
            case Bye() | Reject():
                self.failed = self.failed or f"the hub said {message}"
            case Ping() | Pong():
                pass


class _Run:
    def __init__(self, plan: DriverPlan, pool: Sequence[bytes]) -> None:
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

    async def run(self, pipe: Connection) -> Driven:
        loop = asyncio.get_running_loop()
        for socket in self._sockets:
            await loop.create_connection(
                lambda socket=socket: socket,  # type: ignore[misc]
                self._plan.host,
                self._plan.port,
            )
        await self._until(
            lambda: all(camera.limit >= 0 for camera in self._cameras),
            self._plan.welcome_s,
            "every camera is welcome",
        )
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
            await asyncio.sleep(TICK_S)
        pipe.send("over")
        self._sending = False
        cpu = time.process_time() - cpu
        await self._until(
            lambda: all(camera.acked >= camera.sent for camera in self._cameras),
            DRAIN_S,
            "everything sent is acked",
        )
        for socket in self._sockets:
            socket.close()
        return Driven(
            self._plan.measure_s,
            self._in_window,
            sorted(self._from_sent),
            sorted(self._from_due),
            {camera.name: camera.sent for camera in self._cameras},
            {camera.name: camera.acked for camera in self._cameras},
            sum(socket.resent for socket in self._sockets),
            cpu,
        )

    def _fill(self, camera: _Camera, now: float) -> None:
        """Send what is due and admitted."""
        due = min(int((now - self._began) * self._plan.rate), camera.limit, len(self._pool))
        while camera.sent < due:
            first, last = camera.sent, min(due, camera.sent + PER_FRAME)
            camera.sent = last
            camera.out.append((last, now))
            camera.socket.send_payload(observe(camera.head, first + 1, self._pool[first:last]))

    def _acked(self, camera: _Camera) -> None:
        now = time.perf_counter()
        before, self._scored[camera.name] = self._scored[camera.name], camera.acked
        inside = self._window_from <= now < self._window_to
        if inside:
            self._in_window += camera.acked - before
        start = before
        while camera.out and start < camera.acked:
            last, sent_at = camera.out[0]
            upto = min(last, camera.acked)
            if inside:
                self._from_sent.extend([now - sent_at] * (upto - start))
                self._from_due.extend(
                    now - self._began - seq / self._plan.rate for seq in range(start + 1, upto + 1)
                )
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
    """The process: plans come over `pipe`, one by one; None ends it. Answers ``welcome``,
    ``window``, ``over``, then :class:`Driven`."""
    while (plan := pipe.recv()) is not None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                pipe.send(runner.run(_Run(plan, pool).run(pipe)))
        except (StartError, OSError) as error:
            pipe.send(error)
