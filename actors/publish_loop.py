"""What an actor process shows: events after their commit, states at `live_hz`, summaries at
`wall_hz`, a heartbeat (design section 6). States of a camera that nobody watches go with its
summaries: Redis says how many a publication reached.

Two loops: what is due, and what has to be caught up, which reads PostgreSQL and so may take its
time without holding a heartbeat. Nothing queues while Redis is away. A camera that is `behind`
shows nothing until its fence is raised, its mark compared with the row and what was committed and
not published is read back from PostgreSQL and published.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from functools import partial
from typing import Any

from actors.core.camera import core as camera_core
from actors.core.errors import EyrieError, Fenced
from actors.core.messages.commits import CommitRow
from actors.core.messages.events import published
from actors.core.reasons import of_redis
from actors.core.settings import CameraSettings
from actors.hosted_camera import Hosted
from storage.ports.events import EventStore
from storage.ports.live import LiveEvent, LiveState, LiveSummary, Publisher

SPACING_S = (
    0.02  # seconds between two publications that carry no event: what comes meanwhile goes along
)
UNHEARD_S = 1.0  # seconds, at most, from a state that reached nobody to the next one
IDLE_S = 0.5  # seconds between looks for cameras that are behind, where nobody told of one
RETRY_S = 0.5  # seconds between attempts while Redis or the catch-up fails
MAX_EVENTS = 2_000  # committed events held for publication; beyond it they are read back instead
CATCH_UP_PAGE = 500  # events read and published at once

log = logging.getLogger("eyrie.actors.live")


class Live:
    """The publishing side of one actor process. `doubted` gets the cameras that Redis refused or
    that it is ahead of."""

    def __init__(
        self,
        publisher: Publisher,
        events: EventStore,
        settings: CameraSettings,
        cameras: Callable[[], Collection[Hosted]],
        doubted: Callable[[Hosted], None],
        *,
        now_us: Callable[[], int],
        trouble: Callable[[float], str] = lambda now: "",
        guard: Callable[[Hosted, str, Callable[[], Any]], Any],
    ) -> None:
        """`guard`: :meth:`actors.camera_actor.CameraActor.guarded`. `trouble`: why nothing can be
        committed (`actors.commit_loop.CommitLoop.trouble`); heartbeats tell it."""
        self._trouble = trouble
        self._guard = guard
        self._publisher = publisher
        self._store = events
        self._settings = settings
        self._cameras = cameras
        self._doubted = doubted
        self._now_us = now_us
        self._events: list[tuple[Hosted, LiveEvent]] = []
        self._wake = asyncio.Event()
        self._some_behind = asyncio.Event()
        self._sent = self._retry_at = self._read_at = 0.0
        self._wall_at = self._heartbeat_at = 0.0
        self._away = False
        # why Redis takes no state: heartbeats say so, and none says that all is well, until one was
        # written
        self._refused = ""
        self._ended = False

    def committed(self, hosted: Hosted, row: CommitRow) -> None:
        """`row` is committed: show its events, then the state."""
        hosted.epoch, hosted.offset = row.after.epoch, row.after.last_offset
        hosted.live_changed = hosted.wall_changed = True
        if len(self._events) + len(row.events) > MAX_EVENTS:
            hosted.behind = True
        if not hosted.behind:
            for stored in row.events:
                event = stored.event
                body = published(stored.body, stored.hash, stored.personal)
                live = LiveEvent(
                    hosted.site, hosted.camera, hosted.generation, event.epoch, event.offset, body
                )
                self._events.append((hosted, live))
        self._wake.set()

    def changed(self) -> None:
        """Some state changed, or a camera came."""
        self._wake.set()
        self._some_behind.set()

    async def run(self) -> None:
        """Publish until :meth:`end`, or cancelled."""
        while not self._ended:
            self._wake.clear()
            pause = self._pause(time.monotonic())
            if pause > 0:
                try:
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                continue
            await self._attempt(self._publish_due)

    async def run_catch_up(self) -> None:
        """Catch up what is behind until :meth:`end`, or cancelled."""
        while not self._ended:
            self._some_behind.clear()
            pause = (
                max(self._retry_at, self._read_at) - time.monotonic() if self._behind() else IDLE_S
            )
            if pause <= 0:
                await self._attempt(self._catch_up)
                self._wake.set()
                pause = SPACING_S
            try:
                async with asyncio.timeout(pause):
                    await self._some_behind.wait()
            except TimeoutError:
                continue

    def end(self) -> None:
        """The loop ends at its next turn. Cancelling alone is not enough: `asyncio.wait_for` of
        Python 3.11, which redis-py calls, may swallow a cancellation that comes with its result
        (python/cpython#86296)."""
        self._ended = True
        self._wake.set()
        self._some_behind.set()

    async def publish(self) -> None:
        """Catch up and publish once what is due. Failures are noted and tried again by the next
        call; nothing escapes."""
        if await self._attempt(self._catch_up):
            await self._attempt(self._publish_due)

    async def _attempt(self, work: Callable[[], Awaitable[bool]]) -> bool:
        """Do what talks to Redis; whether nothing failed. `work` says whether Redis took something
        new."""
        try:
            taken = await work()
        except Fenced as error:
            # Somebody was faster than the look at the fences: look again.
            log.warning("publishing waits: %s", error)
            self._retry_at = time.monotonic() + RETRY_S
            return False
        except EyrieError as error:
            if not self._away:
                log.warning(
                    "Redis is away, dashboards see old states until it is back; commits go on: %s",
                    error,
                )
            self._away = True
            self._retry_at = time.monotonic() + RETRY_S
            self._events.clear()
            for hosted in self._cameras():
                hosted.behind = True
            refused = of_redis(error)
            if refused and refused != self._refused:
                self._heartbeat_at = (
                    0.0  # at once: those of the refused batch may have said that all is well
                )
            self._refused = refused
            return False
        if self._away and taken:
            self._away, self._refused = False, ""
            log.warning("Redis is back, %d cameras show their state again", len(self._cameras()))
        return True

    def _heartbeats(self, trouble: str) -> dict[str, list[LiveSummary]]:
        """By site. A camera in trouble is told of before it has shown anything, and while it is
        activated again."""
        sites: dict[str, list[LiveSummary]] = {}
        for h in self._cameras():
            if trouble or (h.version and h.phase == "active" and not h.behind):
                entry = LiveSummary(
                    h.camera, h.generation, h.version or -1, h.shown_offset, trouble.encode()
                )
                sites.setdefault(h.site, []).append(entry)
        return sites

    def _pause(self, now: float) -> float:
        """Seconds until something is due."""
        if now < self._retry_at:
            return self._retry_at - now
        if self._events:
            return 0.0
        due = min(self._heartbeat_at, self._wall_at)
        due = min(
            (h.live_due for h in self._cameras() if h.live_changed and h.phase == "active"),
            default=due,
        )
        return max(min(due, self._heartbeat_at, self._wall_at), self._sent + SPACING_S) - now

    async def _publish_due(self) -> bool:
        """Whether Redis took a state or an event."""
        now = time.monotonic()
        active = [h for h in self._cameras() if h.phase == "active" and not h.behind]
        events = [
            event
            for hosted, event in self._events
            if not hosted.behind and hosted.generation == event.generation
        ]
        self._events.clear()
        states = self._states(active, now)
        summaries: dict[str, list[LiveSummary]] = {}
        heartbeats: dict[str, list[LiveSummary]] = {}
        if now >= self._wall_at:
            self._wall_at = now + 1.0 / self._settings.wall_hz
            summaries = _summaries(active)
        if now >= self._heartbeat_at:
            self._heartbeat_at = now + self._settings.heartbeat_s
            heartbeats = self._heartbeats(
                self._trouble(now) or self._refused
            )  # they are no write, and take no memory
        self._sent = now
        if not (states or events or summaries or heartbeats):
            return False
        if self._refused:  # what is refused below must not take the heartbeats along
            await self._publisher.publish([], [], {}, heartbeats)
            heartbeats = {}
        unheard: set[str] = set()
        refused = await self._publisher.publish(
            states, events, summaries, heartbeats, unheard=unheard
        )
        for hosted in active:
            if hosted.camera in unheard:  # the next state goes with the wall
                hosted.live_due = max(hosted.live_due, min(self._wall_at, now + UNHEARD_S))
        for entries in summaries.values():
            told = {entry.camera: entry.version for entry in entries}
            for hosted in active:
                if told.get(hosted.camera) == hosted.version:
                    hosted.wall_changed = False
        for hosted in active:
            if hosted.camera in refused and hosted.phase == "active":
                log.warning(
                    "camera %s: Redis refuses generation %d or a hole in its events",
                    hosted.camera,
                    hosted.generation,
                )
                hosted.behind = True
                self._retry_at = now + RETRY_S
                self._doubted(hosted)
        return bool(states or events)

    def _states(self, active: Iterable[Hosted], now: float) -> list[LiveState]:
        states = []
        for hosted in active:
            if not hosted.live_changed or hosted.live_due > now:
                continue
            hosted.live_due = now + 1.0 / self._settings.live_hz
            hosted.live_changed = False
            render = partial(
                camera_core.live_state, hosted.core, hosted.version + 1, self._now_us()
            )
            shown = self._guard(hosted, "its state cannot be made", render)
            if shown is None:
                continue
            state, hosted.summary, hosted.shown_offset = shown
            hosted.version += 1
            hosted.wall_changed = True
            states.append(
                LiveState(
                    hosted.site,
                    hosted.camera,
                    hosted.generation,
                    hosted.version,
                    hosted.shown_offset,
                    state,
                )
            )
        return states

    def _behind(self) -> list[Hosted]:
        return [h for h in self._cameras() if h.behind and h.phase == "active"]

    async def _catch_up(self) -> bool:
        """Raise fences, compare marks, publish what a predecessor (or a Redis that was away) has
        left."""
        behind = self._behind()
        if not behind:
            return False
        fences = await self._publisher.fences([h.key for h in behind])
        for hosted in [h for h in behind if fences.get(h.camera, 0) > h.generation]:
            log.warning(
                "camera %s: Redis knows generation %d, this is %d",
                hosted.camera,
                fences[hosted.camera],
                hosted.generation,
            )
            behind.remove(hosted)
            self._doubted(hosted)
        await self._publisher.raise_fences([(h.site, h.camera, h.generation) for h in behind])
        marks = await self._publisher.published_marks([h.key for h in behind])
        lost = [h for h in behind if marks.get(h.camera, ("", 0))[0] != h.epoch]
        at = {h.camera: (h.epoch, h.offset) for h in lost}
        if lost:
            await self._publisher.set_marks(
                [(h.site, h.camera, h.generation, *at[h.camera]) for h in lost]
            )
            marks.update(at)
        for hosted in behind:
            if not await self._publish_missing(hosted, marks[hosted.camera][1]):
                break
        return False

    async def _publish_missing(self, hosted: Hosted, mark: int) -> bool:
        """False: PostgreSQL does not say what is missing, which is no trouble of Redis."""
        generation = hosted.generation
        if mark > hosted.offset:
            log.warning(
                "camera %s: Redis is at event %d, the row at %d", hosted.camera, mark, hosted.offset
            )
            self._read_at = time.monotonic() + RETRY_S
            self._doubted(hosted)
            return True
        while mark < hosted.offset and hosted.generation == generation and hosted.phase == "active":
            try:
                rows = await self._store.after(hosted.camera, hosted.epoch, mark, CATCH_UP_PAGE)
            except EyrieError as error:
                log.warning(
                    "what camera %s has not shown yet waits for PostgreSQL: %s",
                    hosted.camera,
                    error,
                )
                self._read_at = time.monotonic() + RETRY_S
                return False
            if not rows:
                log.error(
                    "camera %s: the row says event %d, stored are %d",
                    hosted.camera,
                    hosted.offset,
                    mark,
                )
                await self._publisher.set_marks(
                    [(hosted.site, hosted.camera, generation, hosted.epoch, hosted.offset)]
                )
                mark = hosted.offset
                break
            events = [
                LiveEvent(
                    hosted.site,
                    r.camera,
                    generation,
                    r.epoch,
                    r.offset,
                    published(r.body, r.hash, r.personal),
                )
                for r in rows
            ]
            if await self._publisher.publish([], events, {}, {}):
                self._read_at = time.monotonic() + RETRY_S
                self._doubted(hosted)
                return True
            mark = rows[-1].offset
        if hosted.generation == generation and hosted.phase == "active":
            hosted.behind = False
            hosted.live_changed = hosted.wall_changed = True
        return True


def _summaries(active: Iterable[Hosted]) -> dict[str, list[LiveSummary]]:
    sites: dict[str, list[LiveSummary]] = {}
    for h in active:
        if h.version and h.wall_changed and h.summary:
            entry = LiveSummary(h.camera, h.generation, h.version, h.shown_offset, h.summary)
            sites.setdefault(h.site, []).append(entry)
    return sites
