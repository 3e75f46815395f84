"""Devices of a scenario in a process of their own: raw sockets that come back after every loss, an
open loop, a history.

Site gateways: one socket carries several cameras. What devices send is the same for all cameras and
known before the run (`pool`), so a history needs digests only.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

import uvloop

from actors.core.backoff import Backoff
from actors.core.errors import StartError
from actors.core.messages.edge_protocol import (
    HEARTBEAT_S,
    Ack,
    Bye,
    Hello,
    Ping,
    Reject,
    Resync,
    ToEdge,
    Welcome,
)
from load_tests.drivers.client_devices import ClientGateway
from load_tests.drivers.device_plan import DevicePlan, DeviceProgress, Drove
from load_tests.drivers.edge_socket import PER_FRAME, EdgeSocket, observe, observe_head
from load_tests.drivers.open_loop import Accounts
from load_tests.harness.recording import Kind, Recorder, digest
from load_tests.harness.scenarios import Schedule

RESENT = 16  # observations that a device sends again when it is not sure
PROGRESS_S = 1.0  # seconds between two words about how it goes
TICK_S = 0.01  # seconds between two looks at what is due
WELCOME_S = 90.0  # an actor may have to be started first
DRAIN_S = 30.0  # seconds that what was due may take after the end
SILENT_HEARTBEATS = 2.5  # heartbeats without a sign of the hub before a socket is given up
CONNECT_S = 10.0
CLOSE_S = 5.0
FIRST_BACKOFF_S, MAX_BACKOFF_S = 0.25, 3.0


class Gateway(Protocol):
    """Some cameras on one socket, raw or by the client."""

    resent: int
    connections: int
    failed: str

    async def run(self) -> None:
        """Keep connected until closed."""

    def turn(self, now: float) -> None:
        """Send what is due and admitted. `now`: perf_counter."""

    def close(self) -> None:
        """Say bye and stay away."""

    def state(self) -> dict[str, tuple[int, int, int]]:
        """Camera → (sent, acked, highest seq that credits admit; -1 before the welcome)."""


class _Camera:
    __slots__ = ("acked", "head", "limit", "name", "open", "sent", "top")

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent = self.acked = self.top = 0  # top: the highest seq ever sent
        self.limit = -1
        self.open = False
        self.head = observe_head(name)


class RawGateway:
    """Cameras on one raw socket."""

    def __init__(
        self,
        number: int,
        plan: DevicePlan,
        pool: Sequence[bytes],
        recorder: Recorder,
        due: Callable[[float], int],
        on_ack: Callable[[str, int], None],
    ) -> None:
        self.name = f"{plan.proc}/{number}"
        self.cameras = {camera: _Camera(camera) for camera in plan.sockets[number]}
        self.resent = self.connections = 0
        self.failed = ""
        self.port = plan.ports[number]
        self.plan = plan
        self.recorder = recorder
        self.heard = 0.0
        self._pool, self._due, self._on_ack = pool, due, on_ack
        self._socket: _Socket | None = None
        self._lost = asyncio.Event()
        self._closed = asyncio.Event()
        self._own_end = False
        self._faulty = number in plan.faulty
        self._pinged = 0.0
        self._frames = 0
        self._backoff = Backoff(FIRST_BACKOFF_S, MAX_BACKOFF_S)
        self._dice = random.Random(f"{plan.seed}/{self.name}")

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._closed.is_set() and not self.failed:
            self._lost.clear()
            try:
                async with asyncio.timeout(CONNECT_S):
                    _, self._socket = await loop.create_connection(
                        lambda: _Socket(self), self.plan.host, self.port
                    )
            except (OSError, TimeoutError):
                self._lost.set()
            else:
                self.connections += 1
                self.heard = self._pinged = time.monotonic()
            await self._lost.wait()
            if not self._closed.is_set():
                try:
                    async with asyncio.timeout(self._backoff.wait_s(self._dice.random())):
                        await self._closed.wait()
                except TimeoutError:
                    continue

    def opened(self) -> None:
        """The handshake is done: every camera says hello."""
        assert self._socket is not None
        for camera in self.cameras.values():
            self._socket.send(Hello(camera.name, self.plan.session, camera.sent + 1))

    def ended(self, code: int, reason: str) -> None:
        """The connection is gone."""
        if not (self._closed.is_set() or self._own_end):
            kind: Kind = "info" if self._faulty and not code else "ok"
            self.recorder.note(kind, "close", by=self.name, code=code, reason=reason)
            if 4500 <= code <= 4999:
                self.failed = f"the hub closed {self.name} for good: {code} {reason}"
        for camera in self.cameras.values():
            if camera.top > camera.acked:
                self.recorder.note(
                    "info",
                    "observe",
                    camera=camera.name,
                    session=self.plan.session,
                    seq=camera.acked + 1,
                    last=camera.top,
                )
            camera.open = False
        self._socket, self._own_end = None, False
        self._lost.set()

    def message(self, message: ToEdge) -> None:
        """What the hub says."""
        self.heard = time.monotonic()
        match message:
            case Ack():
                camera = self.cameras[message.camera]
                camera.limit = max(camera.limit, message.seq + message.credits)
                self._acked(camera, message.seq)
            case Welcome():
                camera = self.cameras[message.camera]
                self.resent += max(0, camera.sent - message.resume_from + 1)
                camera.sent = message.resume_from - 1
                camera.limit = camera.sent + message.credits
                camera.open = True
                self._backoff.reset()
                self._acked(camera, camera.sent)
            case Resync():
                camera = self.cameras[message.camera]
                self.resent += max(0, camera.sent - message.resume_from + 1)
                camera.sent = message.resume_from - 1
            case Reject():
                self.failed = (
                    f"the hub refused seq {message.seq} of {message.camera}: "
                    f"{message.code} {message.detail}"
                )
            case Bye() if message.camera is not None:
                self.recorder.note(
                    "ok",
                    "close",
                    by=self.name,
                    camera=message.camera,
                    code=message.code,
                    reason=message.reason,
                )
                if 4500 <= message.code <= 4999:
                    self.failed = (
                        f"the hub ended {message.camera} for good: {message.code} {message.reason}"
                    )
                elif self._socket is not None:  # its neighbours come back with it
                    self._own_end = True
                    self._socket.abort()
            case _:
                pass

    def turn(self, now: float) -> None:
        socket = self._socket
        if socket is None:
            return
        at = time.monotonic()
        if at - self.heard > SILENT_HEARTBEATS * HEARTBEAT_S:
            self.recorder.note("info", "close", by=self.name, reason="the hub is silent")
            self._own_end = True
            socket.abort()
            return
        if at - self._pinged > HEARTBEAT_S:
            self._pinged = at
            socket.send(Ping())
        for camera in self.cameras.values():
            if camera.open:
                self._fill(socket, camera, self._due(now))

    def close(self) -> None:
        self._closed.set()
        if self._socket is not None:
            self._socket.close()
        self._lost.set()

    def state(self) -> dict[str, tuple[int, int, int]]:
        return {
            camera.name: (camera.top, camera.acked, camera.limit if camera.open else -1)
            for camera in self.cameras.values()
        }

    def _fill(self, socket: "_Socket", camera: _Camera, wanted: int) -> None:
        due = min(wanted, camera.limit, len(self._pool))
        while camera.sent < due:
            first, last = camera.sent + 1, min(due, camera.sent + PER_FRAME)
            items = self._pool[first - 1 : last]
            self.recorder.note(
                "invoke",
                "observe",
                camera=camera.name,
                session=self.plan.session,
                seq=first,
                last=last,
                sha=digest(items),
            )
            camera.sent, camera.top = last, max(last, camera.top)
            socket.send_payload(observe(camera.head, first, items))
            self._frames += 1
            if (
                self.plan.resend_every and self._frames % self.plan.resend_every == 0
            ):  # as a device does that is not sure
                again = max(1, last - RESENT + 1)
                self.resent += last - again + 1
                socket.send_payload(observe(camera.head, again, self._pool[again - 1 : last]))

    def _acked(self, camera: _Camera, seq: int) -> None:
        if seq > camera.acked:
            camera.acked = seq
            self.recorder.note(
                "ok", "observe", camera=camera.name, session=self.plan.session, last=seq
            )
            self._on_ack(camera.name, seq)


class _Socket(EdgeSocket):
    def __init__(self, gateway: RawGateway) -> None:
        super().__init__(gateway.plan.host, gateway.port, gateway.plan.token)
        self._gateway = gateway

    def opened(self) -> None:
        self._gateway._socket = self
        self._gateway.opened()

    def message(self, message: ToEdge) -> None:
        self._gateway.message(message)

    def ended(self, code: int, reason: str) -> None:
        self._gateway.ended(code, reason)


class _Run:
    def __init__(self, plan: DevicePlan, pool: Sequence[bytes], recorder: Recorder) -> None:
        self._plan = plan
        self._recorder = recorder
        self._schedule = Schedule(plan.rates)
        self._accounts = Accounts(self._schedule)
        self._began = float("inf")
        make = ClientGateway if plan.client else RawGateway
        self._gateways: list[Gateway] = [
            make(number, plan, pool, recorder, self._due, self._acked)
            for number in range(len(plan.sockets))
        ]
        self._cameras = [camera for cameras in plan.sockets for camera in cameras]

    def _due(self, now: float) -> int:
        return 0 if now < self._began else self._schedule.due(now - self._began)

    def _acked(self, camera: str, seq: int) -> None:
        self._accounts.acked(camera, seq, time.perf_counter() - self._began)

    async def run(self, pipe: Connection) -> Drove:
        working = [asyncio.create_task(gateway.run()) for gateway in self._gateways]
        try:
            await self._until(
                lambda: all(s[2] >= 0 for s in self._states()), WELCOME_S, "every camera is welcome"
            )
            pipe.send("welcome")
            told = await asyncio.to_thread(pipe.recv)
            if told is None:
                raise StartError("the run did not begin")
            self._began = told
            return await self._drive(pipe)
        finally:
            for gateway in self._gateways:
                gateway.close()
            await asyncio.wait(working, timeout=CLOSE_S)
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    async def _drive(self, pipe: Connection) -> Drove:
        cpu = time.process_time()
        end = self._began + self._plan.duration_s
        told = self._began
        while (now := time.perf_counter()) < end + DRAIN_S:
            for gateway in self._gateways:
                gateway.turn(now)
            if failed := next((gateway.failed for gateway in self._gateways if gateway.failed), ""):
                raise StartError(f"a device was turned away: {failed}")
            if now > end and all(acked >= self._schedule.total() for _, acked, _ in self._states()):
                break
            if now - told > PROGRESS_S and now > self._began:
                told = now
                self._recorder.flush()
                pipe.send(self._progress(now))
            await asyncio.sleep(TICK_S)
        unanswered = self._accounts.close(self._cameras, time.perf_counter() - self._began)
        states = {
            name: state for gateway in self._gateways for name, state in gateway.state().items()
        }
        return Drove(
            {name: state[0] for name, state in states.items()},
            {name: state[1] for name, state in states.items()},
            sum(gateway.resent for gateway in self._gateways),
            sum(gateway.connections for gateway in self._gateways),
            unanswered,
            time.process_time() - cpu,
            {second: dict(found.counts) for second, found in self._accounts.by_second.items()},
            self._accounts.acked_in,
        )

    def _states(self) -> list[tuple[int, int, int]]:
        return [state for gateway in self._gateways for state in gateway.state().values()]

    def _progress(self, now: float) -> DeviceProgress:
        states, due, at_s = self._states(), self._due(now), now - self._began
        late = [self._schedule.at(acked + 1) for _, acked, _ in states if acked < due]
        return DeviceProgress(
            sum(sent for sent, _, _ in states),
            sum(acked for _, acked, _ in states),
            sum(gateway.resent for gateway in self._gateways),
            sum(max(0, limit - sent) for sent, _, limit in states),
            sum(max(0, due - sent) for sent, _, _ in states),
            at_s - min(late, default=at_s),
            self._accounts.fresh(),
        )

    async def _until(self, condition: Callable[[], bool], within_s: float, what: str) -> None:
        deadline = time.perf_counter() + within_s
        while not condition():
            if failed := next((gateway.failed for gateway in self._gateways if gateway.failed), ""):
                raise StartError(f"a device was turned away: {failed}")
            if time.perf_counter() > deadline:
                raise StartError(f"within {within_s:g} s this did not come true: {what}")
            await asyncio.sleep(TICK_S)


def drive(pipe: Connection, pool: list[bytes], plan: DevicePlan) -> None:
    """The process. Says ``welcome`` once all cameras are, is told when to begin (perf_counter),
    says a :class:`DeviceProgress` about every second, and ends with :class:`Drove` or an error;
    then None ends it."""
    try:
        with (
            Recorder(Path(plan.history), plan.proc) as recorder,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            pipe.send(runner.run(_Run(plan, pool, recorder).run(pipe)))
    except (StartError, OSError) as error:
        pipe.send(error)
    pipe.recv()
