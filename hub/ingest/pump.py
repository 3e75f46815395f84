"""Items to camera actors and answers back: one bounded queue and one link per (hub, actor) (design
section 10).

The pump keeps nothing that matters. When an actor fails, is too slow or does not own a camera any
more, what was queued for it is dropped, the camera is located again and every link of it attaches
anew; the actor's welcome then says from where the edge resends.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from actors.core.backoff import bound_s
from actors.core.errors import EyrieError
from actors.core.messages import deliveries
from actors.core.messages.deliveries import (
    Answer,
    Attach,
    Data,
    DeclareGap,
    Detach,
    Dismissed,
    Item,
    Welcomed,
)
from actors.core.settings import HubSettings
from actors.ports import ActorHandle, Directory
from hub.ingest.actor_queue import ActorQueue, PumpCounts

MAX_LOCATES = 4  # look-ups under way at once
LOCATE_BATCH = 64  # cameras in one look-up
BACKOFF_FIRST_S = 0.1  # first pause before a camera is looked up again; doubles, with jitter
BACKOFF_MAX_S = 5.0

log = logging.getLogger("eyrie.hub.pump")


@dataclass(slots=True)
class _Camera:
    name: str
    links: dict[str, Attach] = field(default_factory=dict)
    actor: ActorQueue | None = None
    attempts: int = 0
    due: float = 0.0
    locating: bool = False


class Pump:
    """All the actors one hub talks to. `answer` gets every answer meant for a link; it must not
    block."""

    def __init__(
        self,
        hub: str,
        directory: Directory,
        settings: HubSettings,
        answer: Callable[[Answer], None],
        *,
        wall_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.hub = hub
        self.counts = PumpCounts()
        self._directory = directory
        self._settings = settings
        self._answer = answer
        self._wall_us = wall_us
        self._cameras: dict[str, _Camera] = {}
        self._actors: dict[str, ActorQueue] = {}
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._locates = 0
        self._locator: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self) -> None:
        """Begin to look cameras up. Needs a running loop."""
        self._locator = asyncio.get_running_loop().create_task(
            self._locate_loop(), name="pump-locator"
        )

    def put(self, item: Item, *, urgent: bool = True) -> None:
        """Queue one item. Never blocks: what has no room or no actor is dropped and asked for again
        after the next attach."""
        if isinstance(item, Attach):
            camera = self._cameras.setdefault(item.camera, _Camera(item.camera))
            camera.links[item.link] = item
            if camera.actor is None:
                self._look_up(camera)
            else:
                camera.actor.put(item, urgent=True)
            return
        known = self._cameras.get(item.camera)
        if known is None or item.link not in known.links:
            return
        if isinstance(item, Detach):
            del known.links[item.link]
        if known.actor is not None:
            known.actor.put(item, urgent=urgent)
        elif isinstance(item, Data | DeclareGap):
            self.counts.dropped += 1
        self._drop_if_idle(known)

    async def stop(self, grace_s: float) -> None:
        """Send what is queued, at most for `grace_s`, then end every task."""
        self._stopping = True
        self._wake.set()
        deadline = time.monotonic() + grace_s
        for actor in list(self._actors.values()):
            await actor.stop(max(0.0, deadline - time.monotonic()))
        tasks = [*self._tasks, *([self._locator] if self._locator is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def failed(self, actor: ActorQueue, reason: str) -> None:
        """There is no link to `actor`, or it was lost: its cameras are looked up again."""
        if self._actors.get(actor.name) is not actor:
            return
        del self._actors[actor.name]
        self.counts.failed_calls += 1
        self._directory.forget(actor.name)
        cameras = [camera for camera in self._cameras.values() if camera.actor is actor]
        log.warning(
            "actor %s is lost to this hub, its %d cameras are looked up again: %s",
            actor.name,
            len(cameras),
            reason,
        )
        for camera in cameras:
            camera.actor = None
            self._look_up(camera)
            self._drop_if_idle(camera)

    def answered(self, actor: ActorQueue, answers: Iterable[Answer]) -> None:
        """Route answers. Those of an actor that a camera has left are late and mean nothing."""
        for answer in answers:
            camera = self._cameras.get(answer.camera)
            if camera is None or camera.actor is not actor:
                continue
            if isinstance(answer, Dismissed):
                if answer.code == deliveries.NOT_OWNER:
                    self._directory.forget(actor.name)
                    camera.actor = None
                    actor.left(camera.name)
                    self._look_up(camera)
                    continue
                camera.links.pop(answer.link, None)
                self._drop_if_idle(camera)
            elif isinstance(answer, Welcomed):
                camera.attempts = 0
            self._answer(answer)

    def current(self, attach_key: tuple[str, str]) -> Attach | None:
        """The attach of (camera, link) as it would be sent again now."""
        camera = self._cameras.get(attach_key[0])
        attach = None if camera is None else camera.links.get(attach_key[1])
        return (
            None if attach is None else msgspec.structs.replace(attach, received_us=self._wall_us())
        )

    def _drop_if_idle(self, camera: _Camera) -> None:
        if not camera.links and not camera.locating:
            self._cameras.pop(camera.name, None)
            if camera.actor is not None:
                camera.actor.left(camera.name)

    def retire(self, actor: ActorQueue) -> bool:
        """True when no camera needs `actor` any more; it is then forgotten here."""
        if any(camera.actor is actor for camera in self._cameras.values()):
            return False
        if self._actors.get(actor.name) is actor:
            del self._actors[actor.name]
        return True

    def _look_up(self, camera: _Camera) -> None:
        pause = 0.0
        if camera.attempts:
            pause = bound_s(camera.attempts - 1, BACKOFF_FIRST_S, BACKOFF_MAX_S)
            pause *= random.uniform(0.5, 1.0)
        camera.attempts += 1
        camera.due = time.monotonic() + pause
        self._wake.set()

    async def _locate_loop(self) -> None:
        while not self._stopping:
            self._wake.clear()
            now = time.monotonic()
            waiting = [
                c for c in self._cameras.values() if c.actor is None and not c.locating and c.links
            ]
            due = [c for c in waiting if c.due <= now]
            while due and self._locates < MAX_LOCATES:
                batch, due = due[:LOCATE_BATCH], due[LOCATE_BATCH:]
                self._locates += 1
                for camera in batch:
                    camera.locating = True
                self._spawn(self._locate(batch))
            later = [c.due for c in waiting if not c.locating]
            pause = (
                None if not later or self._locates >= MAX_LOCATES else max(0.0, min(later) - now)
            )
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _locate(self, batch: list[_Camera]) -> None:
        found: dict[str, ActorHandle] = {}
        try:
            found = await self._directory.locate([camera.name for camera in batch])
        except EyrieError as error:
            log.warning("cameras cannot be located now, trying again: %s", error)
        finally:
            self._locates -= 1
            self._wake.set()
            for camera in batch:
                camera.locating = False
        for camera in batch:
            handle = found.get(camera.name)
            if not camera.links:
                self._drop_if_idle(camera)
            elif handle is None:
                self._look_up(camera)
            else:
                self._attach_all(camera, handle)

    def _attach_all(self, camera: _Camera, handle: ActorHandle) -> None:
        actor = self._actors.get(handle.name)
        if actor is None:
            actor = self._actors[handle.name] = ActorQueue(self, handle, self._settings)
            self._spawn(actor.connect())
        camera.actor = actor
        for link in list(camera.links):
            attach = self.current((camera.name, link))
            if attach is not None:
                self.counts.reattached += 1
                actor.put(attach, urgent=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
