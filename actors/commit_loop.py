"""The loop of an actor process that does the work: commits, opens sessions, renews activations,
beats (design section 6)."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, Protocol, TypeVar

import msgspec

from actors.activation import ActorStores, activate
from actors.core.camera import core as camera_core
from actors.core.camera.core import CameraCore, Effects, Tick
from actors.core.camera.credits import window
from actors.core.errors import (
    BadInput,
    ConfigError,
    Conflict,
    EyrieError,
    PoisonRow,
    Unavailable,
    UnknownOutcome,
)
from actors.core.messages.commits import Activation, CommitRow
from actors.core.messages.deliveries import Answer, Item
from actors.core.messages.object_faults import Faults, add
from actors.core.reasons import STORE_LOST, of_store
from actors.core.settings import CameraSettings
from actors.hosted_camera import Hosted
from actors.publish_loop import Live

RETRY_S = 0.2  # seconds before a write that was not accepted is tried again
MAX_FAILURES = 5  # errors of one camera in a row before it is given up
SMOOTHING = 0.2  # weight of the newest measurement
WINDOWS_S = 0.25  # seconds between two looks at the pressure, out of which credits are given
SLOW_S = 3.0  # seconds that PostgreSQL may take before dashboards are told
IDLE_S = 0.5  # seconds the loop waits at most: health reads the age of its last turn

T = TypeVar("T")

log = logging.getLogger("eyrie.actors.commits")


class CommitHost(Protocol):
    """What the loop asks of its actor (`actors.camera_actor`)."""

    given_up: dict[str, str]

    def step(self, hosted: Hosted, items: Sequence[Item | Tick]) -> None:
        """Step a camera and carry the effects out."""

    def guarded(self, hosted: Hosted, what: str, work: Callable[[], T]) -> T | None:
        """`work` of one camera's core; None where it fails, which is a fault of that camera
        alone."""

    def row_of(self, hosted: Hosted) -> CommitRow | None:
        """What a camera has to write; an error in it is the camera's alone, as one in a step is."""

    def carry_out(self, hosted: Hosted, effects: Effects) -> None:
        """Carry effects out."""

    def restore(self, activation: Activation) -> CameraCore | None:
        """The core of an activation, or None when its row cannot be read."""

    def leave(self, hosted: Hosted, reason: str) -> None:
        """Stop hosting a camera; its hubs look it up again."""

    def moved(self, row: CommitRow) -> None:
        """`row` is committed."""

    def post(self, answer: Answer) -> None:
        """Send an answer to the hub of its link."""

    def write_off(self, reason: str) -> None:
        """The process must end."""

    def forget(self, hosted: Hosted) -> None:
        """The core of `hosted` is thrown away: so is what waits for it."""


What = Literal["commit", "session", "activation", "beat"]


class CommitLoop:
    """`cameras` is shared with the actor, which steps; `live` is told what is committed."""

    def __init__(
        self,
        name: str,
        stores: ActorStores,
        settings: CameraSettings,
        cameras: dict[str, Hosted],
        live: Live,
        host: CommitHost,
        *,
        capacity: int,
        now_us: Callable[[], int],
    ) -> None:
        self.name = name
        self._stores = stores
        self._settings = settings
        self._cameras = cameras
        self._live = live
        self._host = host
        self.capacity = capacity
        self.window_items = window(settings, capacity)
        self._now_us = now_us
        self._dirty: dict[str, None] = {}
        self.in_flight: list[tuple[Hosted, CommitRow]] = []
        self._renew: dict[str, None] = {}
        self._urgent = False
        self._alone = False  # rows go one by one until it is known which of them PostgreSQL refuses
        self._commit_at = self._retry_at = self._beat_at = self._windows_at = 0.0
        self.turn = self.committed_at = time.monotonic()
        self.commit_latency_s = self.loop_lag_s = 0.0  # smoothed
        self._wake = asyncio.Event()
        self._ended = False
        self._away = False  # an outage of PostgreSQL is told once, and so is its end
        self._troubles: dict[
            What, str
        ] = {}  # what waits for PostgreSQL, and the reason that dashboards are told
        self.counts = {
            "commits": 0,
            "rows": 0,
            "observations": 0,
            "events": 0,
            "not_moved": 0,
            "unknown": 0,
            "renewals": 0,
        }
        self.object_faults: Faults = {}

    def stepped(self, hosted: Hosted, *, urgent: bool) -> None:
        """Something of `hosted` may wait for its commit; `urgent`: now, else when the interval is
        over (which an idle loop must notice)."""
        if not self._dirty:
            self._wake.set()
        self._dirty[hosted.camera] = None
        if urgent:
            self.hurry()

    def hurry(self) -> None:
        """Commit what waits, now."""
        self._urgent = True
        self._wake.set()

    def open_work(self) -> set[str]:
        """The cameras with something uncommitted."""
        return {h.camera for h, _row in self.in_flight} | self._dirty.keys() | self._renew.keys()

    def end(self) -> None:
        """The loop ends at its next turn."""
        self._ended = True
        self._wake.set()

    async def run(self) -> None:
        """Work until :meth:`end`, or cancelled."""
        while not self._ended:
            self._wake.clear()
            self.turn = now = time.monotonic()
            self._tick_cores()
            if now >= self._windows_at:
                self.set_windows()
            if now >= self._retry_at:
                if self._renew:
                    await self._renew_activations()
                if self.in_flight or (self._dirty and (self._urgent or now >= self._commit_at)):
                    await self._commit()
                else:
                    self._urgent = False
                await self._open_sessions()
            if now >= self._beat_at:
                await self._beat(now)
            pause = self._pause()
            if pause <= 0:
                await asyncio.sleep(0)
                continue
            waits_until = time.monotonic() + pause
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                self.loop_lag_s += SMOOTHING * (time.monotonic() - waits_until - self.loop_lag_s)

    def _pause(self) -> float:
        now = time.monotonic()
        if now < self._retry_at:
            return self._retry_at - now
        if self.in_flight or self._renew or (self._urgent and self._dirty):
            return 0.0
        due = min(now + IDLE_S, self._beat_at, self._commit_at if self._dirty else now + IDLE_S)
        deadlines = [
            d
            for h in self._cameras.values()
            if h.phase == "active" and (d := camera_core.next_deadline_us(h.core)) is not None
        ]
        if deadlines:
            due = min(due, now + max(0.0, (min(deadlines) - self._now_us()) / 1e6))
        return max(0.001, due - now)

    def _tick_cores(self) -> None:
        now_us = self._now_us()
        for hosted in list(self._cameras.values()):
            if hosted.phase == "active":
                deadline = camera_core.next_deadline_us(hosted.core)
                if deadline is not None and deadline <= now_us:
                    self._host.step(hosted, [Tick()])

    async def _commit(self) -> None:
        """One statement for every camera with something to write; rows whose outcome is not known
        lead to a new activation."""
        self._commit_at = time.monotonic() + self._settings.commit_interval_s
        self._urgent = False
        dirty, self._dirty = self._dirty, {}
        waiting = {hosted.camera for hosted, _row in self.in_flight}
        for camera in dirty:
            hosted = self._cameras.get(camera)
            if camera in waiting:
                self._dirty[camera] = None
            elif hosted is not None and hosted.phase == "active":
                row = self._host.row_of(hosted)
                if row is not None:
                    self.in_flight.append((hosted, row))
        self.in_flight = [(h, row) for h, row in self.in_flight if self._current(h, row)]
        if not self.in_flight:
            self._alone = False
            self._answered("commit")  # what waited has left
            return
        batch = self.in_flight[:1] if self._alone else self.in_flight
        rows = [row for _hosted, row in batch]
        began = time.monotonic()
        try:
            moved = await self._stores.cameras.commit(rows)
        except UnknownOutcome as error:
            self.counts["unknown"] += 1
            log.warning(
                "the outcome of a commit of %d cameras is unknown, they are activated again: %s",
                len(rows),
                error,
            )
            self._troubles["activation"] = STORE_LOST  # until it is known again what is committed
            for hosted, row in self.in_flight:
                self.doubt(hosted, row)
            self.in_flight.clear()
            self._retry_at = time.monotonic() + RETRY_S
        except PoisonRow as error:
            self._poisoned(error)
        except (BadInput, Conflict) as error:
            self._refused(batch, error)
        except (
            Unavailable,
            ConfigError,
        ) as error:  # tables that are missing, while a dump is read back
            self._waits("commit", f"a commit of {len(rows)} cameras waits for PostgreSQL", error)
        else:
            self._answered("commit")
            self.commit_latency_s += SMOOTHING * (time.monotonic() - began - self.commit_latency_s)
            self._moved(batch, moved)

    def _moved(self, batch: list[tuple[Hosted, CommitRow]], moved: set[str]) -> None:
        self.committed_at = time.monotonic()
        self.counts["commits"] += 1
        self.counts["rows"] += len(moved)
        self._take_out(batch)
        for hosted, row in batch:
            if not self._current(hosted, row):
                continue
            if row.camera not in moved:
                self.counts["not_moved"] += 1
                log.warning(
                    "camera %s: its row did not move, it is activated again or left to its new "
                    "owner",
                    row.camera,
                )
                self.doubt(hosted)
                continue
            hosted.failures = 0
            self.counts["observations"] += row.after.last_seq - row.before.last_seq
            self.counts["events"] += len(row.events)
            add(self.object_faults, row.faults)
            answers = self._host.guarded(
                hosted,
                "its commit cannot be noted",
                partial(camera_core.committed, hosted.core, row, self._now_us()),
            )
            if answers is None:
                continue
            for answer in answers:
                self._host.post(answer)
            self._live.committed(hosted, row)
            self._host.moved(row)

    def _take_out(self, batch: list[tuple[Hosted, CommitRow]]) -> None:
        self.in_flight = self.in_flight[len(batch) :]  # a batch is where it begins
        self._alone = self._alone and bool(self.in_flight)

    def _refused(self, batch: list[tuple[Hosted, CommitRow]], error: EyrieError) -> None:
        """PostgreSQL refuses a batch and names no row: they go one by one, and the one that is
        refused alone is at fault."""
        if len(batch) > 1:
            self._alone = True
            return
        self._take_out(batch)
        for hosted, row in batch:
            log.error("camera %s: PostgreSQL refuses its row: %s", row.camera, error)
            self.fault(hosted, f"PostgreSQL refuses its row: {error}")

    def _poisoned(self, error: PoisonRow) -> None:
        log.error("camera %s: a value can never be stored: %s", error.camera, error)
        poisoned = [h for h, row in self.in_flight if row.camera == error.camera]
        self.in_flight = [(h, row) for h, row in self.in_flight if row.camera != error.camera]
        for hosted in poisoned:
            self.fault(hosted, f"a value can never be stored: {error}")

    async def _open_sessions(self) -> None:
        for hosted in [
            h for h in self._cameras.values() if h.opens is not None and h.phase == "active"
        ]:
            if any(h is hosted for h, _row in self.in_flight) or hosted.opens is None:
                continue
            row = self._host.row_of(hosted)
            if row is not None:
                self.in_flight.append((hosted, row))
                self._urgent = True
            if row is not None or hosted.phase != "active":
                continue
            session, generation = hosted.opens, hosted.generation
            try:
                outcome = await self._stores.cameras.open_session(
                    hosted.camera, self.name, generation, session
                )
            except (
                Unavailable,
                ConfigError,
            ) as error:  # an unknown outcome too: the call may be repeated
                self._waits(
                    "session",
                    f"camera {hosted.camera}: session {session} waits for PostgreSQL",
                    error,
                )
                self._urgent = True
                return
            self._answered("session")
            if hosted.generation != generation or hosted.phase != "active":
                continue
            if outcome == "fenced":
                self.doubt(hosted)
                continue
            hosted.opens = None
            opened = partial(
                camera_core.session_opened, hosted.core, session, outcome, self._now_us()
            )
            effects = self._host.guarded(hosted, "its session cannot be opened", opened)
            if effects is not None:
                self._host.carry_out(hosted, effects)

    async def _renew_activations(self) -> None:
        """Activate again under the own name, after an unknown outcome or a row that did not move;
        who is not owner leaves."""
        cameras = [camera for camera in self._renew if camera in self._cameras]
        self._renew.clear()
        if not cameras:
            self._answered("activation")
            return
        self.counts["renewals"] += len(cameras)
        try:
            found = {a.camera: a for a in await activate(self._stores, self.name, cameras)}
        except EyrieError as error:
            self._waits("activation", f"the activation of {len(cameras)} cameras waits", error)
            self._renew.update(dict.fromkeys(cameras))
            return
        self._answered("activation")
        for camera in cameras:
            hosted = self._cameras.get(camera)
            if hosted is None:
                continue
            activation = found.get(camera)
            core = None if activation is None else self._host.restore(activation)
            if activation is None or core is None:
                self._host.leave(hosted, self._host.given_up.get(camera, "another actor owns it"))
                continue
            hosted.replace(activation, core)
            now_us = self._now_us()
            self._host.step(
                hosted,
                [
                    msgspec.structs.replace(attach, received_us=now_us)
                    for attach in hosted.links.values()
                ]
                or [Tick()],
            )
        self.set_windows()
        self._live.changed()

    async def _beat(self, now: float) -> None:
        self._beat_at = now + self._settings.heartbeat_s
        try:
            known = await self._stores.actors.beat(self.name)
        except EyrieError as error:
            self._tell("beat", f"the heartbeat of {self.name} did not reach PostgreSQL", error)
            return
        self._answered("beat")
        if not known:
            for hosted in list(self._cameras.values()):
                self._host.leave(hosted, "the supervisor wrote this actor off")
            self._host.write_off("its record is gone")

    def trouble(self, now: float) -> str:
        """Why nothing can be committed now, a reason of `actors.core.reasons`; empty when all is
        well. `now`: monotonic seconds."""
        if self._troubles:
            return next(iter(self._troubles.values()))
        return (
            STORE_LOST if now - self.turn > SLOW_S else ""
        )  # the loop waits for PostgreSQL, whatever for

    def _waits(self, what: What, text: str, error: EyrieError) -> None:
        self._tell(what, text, error)
        self._retry_at = time.monotonic() + RETRY_S

    def _tell(self, what: What, text: str, error: EyrieError) -> None:
        log.log(logging.DEBUG if self._away else logging.WARNING, "%s: %s", text, error)
        self._away = True
        self._troubles[what] = of_store(error)

    def _answered(self, what: What) -> None:
        self._troubles.pop(what, None)
        self._troubles.pop(
            "beat", None
        )  # the smallest write there is: where another works, the next one of these does
        if self._away and not self._troubles:
            self._away = False
            log.warning("PostgreSQL answers again")

    def doubt(self, hosted: Hosted, row: CommitRow | None = None) -> None:
        """Throw the core away; an activation under the own name decides."""
        if hosted.phase == "active" and (row is None or self._current(hosted, row)):
            hosted.phase = "renewing"
            self._host.forget(hosted)
            self._renew[hosted.camera] = None
            self._wake.set()

    def fault(self, hosted: Hosted, reason: str) -> None:
        """Note an error of one camera alone: it starts again from its last commit, or is given
        up."""
        hosted.failures += 1
        if hosted.failures >= MAX_FAILURES:
            self._host.given_up[hosted.camera] = reason
            self._host.leave(hosted, reason)
            return
        self._retry_at = time.monotonic() + RETRY_S
        self.doubt(hosted)

    def _current(self, hosted: Hosted, row: CommitRow) -> bool:
        return (
            hosted.phase == "active"
            and hosted.generation == row.generation
            and self._cameras.get(hosted.camera) is hosted
        )

    def set_windows(self) -> None:
        """The credits of all cameras together stay within `process_items`, and shrink while commits
        or the loop are slow."""
        self._windows_at = time.monotonic() + WINDOWS_S
        among = max(self.capacity, len(self._cameras))
        self.window_items = window(
            self._settings,
            among,
            commit_latency_s=self.commit_latency_s,
            loop_lag_s=self.loop_lag_s,
        )
        for hosted in self._cameras.values():
            if hosted.phase == "active":
                camera_core.set_window(hosted.core, 0 if hosted.paused else self.window_items)
