"""The actor of one or more cameras, without Ray: it carries out what the camera core decides
(design sections 3 and 6).

One loop commits, opens sessions, renews activations and beats; a second one publishes
(`actors.publish_loop`). `take` steps at once, so the mailbox is the credits that the core gave.
Queries, health and stop never wait for data.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec

from actors.activation import ActorStores, activate
from actors.answer_queue import HubAnswers
from actors.commit_loop import CommitLoop
from actors.core.camera import core as camera_core
from actors.core.camera.core import Effects, Input, Tick
from actors.core.camera.mailbox import Mailbox
from actors.core.errors import BadInput
from actors.core.messages import deliveries
from actors.core.messages.commits import Activation, CommitRow
from actors.core.messages.deliveries import Answer, Attach, Detach, Dismissed, Item
from actors.core.settings import CameraSettings
from actors.core.task_set import TaskSet
from actors.hosted_camera import Hosted
from actors.publish_loop import Live
from actors.registry_sync import RegistrySync
from actors.scheduler import CameraScheduler
from actors.sealing import Sealer
from actors.step_notes import StepNote
from actors.wall_clock import WallClock
from storage.process import cpu_load

T = TypeVar("T")

log = logging.getLogger("eyrie.actors.camera")


def _age_s(hosted: Hosted, now: float) -> float:
    try:
        return hosted.mailbox.age_s(now)
    except IndexError:  # this is another thread: the last item was just taken
        return 0.0


class CameraActor:
    """One process of at most `capacity` cameras. `name` is its incarnation, the owner in
    PostgreSQL; `written_off` is called when it must end itself."""

    def __init__(
        self,
        name: str,
        stores: ActorStores,
        settings: CameraSettings,
        *,
        capacity: int = 1,
        clock: WallClock | None = None,
        sealer: Sealer | None = None,
        written_off: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self.name = name
        self._stores = stores
        self._settings = settings
        self._clock = clock or WallClock()
        self._sealer = sealer or Sealer()
        self._written_off = written_off
        self._cameras: dict[str, Hosted] = {}
        self.note = StepNote()
        self.given_up: dict[str, str] = {}
        self._answers = HubAnswers()
        self._live = Live(
            stores.publisher,
            stores.events,
            settings,
            self._cameras.values,
            lambda h: self._commits.doubt(h),
            now_us=self._now_us,
            trouble=lambda now: self._commits.trouble(now),
            guard=self.guarded,
        )
        self._turns = CameraScheduler(self.step, self._ask_again)
        self._commits = CommitLoop(
            name,
            stores,
            settings,
            self._cameras,
            self._live,
            self,
            capacity=capacity,
            now_us=self._now_us,
        )
        self.registry = RegistrySync(stores, self._cameras, self, now_us=self._now_us)
        self._stopping = False
        self._paused: frozenset[str] = frozenset()
        self._tasks = TaskSet(log, self.write_off)

    def start(self) -> None:
        """Begin to commit and publish. Needs a running loop."""
        for name, work in (
            ("commit-loop", self._commits.run()),
            ("live-loop", self._live.run()),
            ("turns-loop", self._turns.run()),
            ("catch-up-loop", self._live.run_catch_up()),
            ("registry-loop", self.registry.run()),
        ):
            self._tasks.spawn(work, name, forever=True)

    async def adopt(self, cameras: Sequence[str]) -> dict[str, str]:
        """Activate `cameras` here. Camera → why not, of those that are not hosted afterwards.
        Raises Unavailable when storage is away."""
        wanted = [camera for camera in cameras if camera not in self._cameras]
        found = (
            {a.camera: a for a in await activate(self._stores, self.name, wanted)} if wanted else {}
        )
        for camera in wanted:
            activation = found.get(camera)
            if activation is None:
                self.given_up[camera] = "another actor owns it"
                continue
            core = self.restore(activation)
            if core is not None:
                position = activation.position
                hosted = Hosted(
                    camera,
                    activation.site,
                    activation.generation,
                    core,
                    position.epoch,
                    position.last_offset,
                    Mailbox(self._settings),
                )
                self._cameras[camera] = hosted
                self.given_up.pop(camera, None)
                hosted.paused = camera in self._paused
                self.step(hosted, [Tick()])
        self._commits.set_windows()
        self._live.changed()
        return {camera: self.given_up[camera] for camera in wanted if camera in self.given_up}

    def pause(self, cameras: Sequence[str]) -> None:
        """Exactly these cameras of the process take nothing new in, now and when they come here;
        the others go on."""
        self._paused = frozenset(cameras)
        for hosted in self._cameras.values():
            if hosted.paused != (hosted.camera in self._paused):
                self._pause(hosted, hosted.camera in self._paused)

    def _pause(self, hosted: Hosted, paused: bool) -> None:
        hosted.paused = paused
        if hosted.phase == "active":
            window = self._commits.window_items
            self.carry_out(hosted, camera_core.pause(hosted.core, paused, window, self._now_us()))
            log.info("camera %s %s", hosted.camera, "is paused" if paused else "goes on")

    async def release(
        self, cameras: Sequence[str], reason: str = "released", *, code: int = deliveries.NOT_OWNER
    ) -> None:
        """Commit what is stepped, then stop hosting `cameras`; their hubs look them up again, or
        end the links for another `code`.

        Cancelled while the last commit is late it leaves them all the same: their edges keep what
        is not acked.
        """
        for hosted in [self._cameras[camera] for camera in cameras if camera in self._cameras]:
            hosted.leaving = True
        try:
            await self._settle(cameras)
        finally:
            for camera in cameras:
                left = self._cameras.get(camera)
                if left is not None:
                    self.leave(left, reason, code=code)

    def linked(self, hub: str, send: Callable[[bytes], None]) -> None:
        """:meth:`actors.links.server.Served.linked`."""
        self._answers.linked(hub, send)

    def unlinked(self, hub: str, send: Callable[[bytes], None]) -> None:
        """:meth:`actors.links.server.Served.unlinked`."""
        self._answers.unlinked(hub, send)

    def take(self, items: bytes) -> None:
        """Items of a hub (`actors.core.messages.deliveries`), encoded. Raises BadInput when they do
        not decode."""
        try:
            batch = deliveries.items_decoder.decode(items)
        except msgspec.MsgspecError as error:
            raise BadInput(f"items of a hub do not decode: {error}") from error
        if len(batch) == 1:
            self._take(batch[0].camera, batch)
            return
        by_camera: dict[str, list[Item]] = {}
        for item in batch:
            by_camera.setdefault(item.camera, []).append(item)
        for camera, group in by_camera.items():
            self._take(camera, group)

    def health(self) -> dict[str, Any]:
        """How the loop that does the work fares; safe to read from another thread."""
        now, work = time.monotonic(), self._commits
        return {
            "name": self.name,
            "loop_age_s": now - work.turn,
            "loop_lag_s": work.loop_lag_s,
            "commit_s": work.commit_latency_s,
            "capacity": work.capacity,
            "cpu": cpu_load.cpu(),
            "commit_age_s": now - work.committed_at if work.in_flight else 0.0,
            "cameras": len(self._cameras),
            "waiting": self._turns.held,
            "failed": self._tasks.failed,
        }

    def describe(self) -> dict[str, Any]:
        """What it hosts, for people."""
        now = time.monotonic()
        cameras = {
            h.camera: {
                "site": h.site,
                "generation": h.generation,
                "epoch": h.epoch,
                "offset": h.offset,
                "version": h.version,
                "phase": h.phase,
                "links": len(h.links),
                "behind": h.behind,
                "waiting": h.mailbox.items,
                "refused": h.mailbox.refused_items,
                "lag_s": _age_s(h, now),
                "cpu": h.cost.share(now),
                "paused": h.paused,
                "status": h.core.status,
            }
            for h in list(self._cameras.values())
        }
        return {
            **self.health(),
            "hosted": cameras,
            "given_up": dict(self.given_up),
            "counts": dict(self._commits.counts),
            "object_faults": dict(self._commits.object_faults),
        }

    async def stop(self, grace_s: float = 5.0) -> bool:
        """Take no more data, commit and show what is stepped, close. False when the last commit did
        not succeed in `grace_s`."""
        self._stopping = True
        done = True
        try:
            async with asyncio.timeout(grace_s):
                await self._settle(list(self._cameras))
        except TimeoutError:
            done = False
            log.error(
                "actor %s stops with uncommitted observations; their edges keep them", self.name
            )
        await self._end_loops()
        if done:
            for hosted in self._cameras.values():
                hosted.behind = True  # a publication may just have been cut off: look what is there
                hosted.live_due = 0.0
            await self._live.publish()
        self._answers.flush()
        await self._stores.close()
        self.note.close()
        return done

    def post(self, answer: Answer) -> None:
        """Send an answer to the hub of its link."""
        self._answers.post(answer)

    def write_off(self, reason: str) -> None:
        """The process must end, unless it is about to."""
        if not self._stopping:
            self._written_off(reason)

    async def _end_loops(self) -> None:
        self._commits.end()
        self._live.end()
        self._turns.end()
        self.registry.end()
        await self._tasks.close()

    def _take(self, camera: str, items: list[Item]) -> None:
        hosted = self._cameras.get(camera)
        if hosted is None:
            reason = self.given_up.get(camera, "not hosted here")
            for link in dict.fromkeys(item.link for item in items if not isinstance(item, Detach)):
                self._answers.post(Dismissed(camera, link, deliveries.NOT_OWNER, reason))
            return
        for item in items:
            if isinstance(item, Attach):
                hosted.links[item.link] = item
            elif isinstance(item, Detach):
                hosted.links.pop(item.link, None)
        if hosted.phase == "active" and not (self._stopping or hosted.leaving):
            self._refuse(camera, self._turns.put(hosted, items))

    def _refuse(self, camera: str, items: list[Item]) -> None:
        """Hellos that found no room come again; data is asked for once there is room
        (:meth:`_ask_again`)."""
        for item in items:
            if isinstance(item, Attach):
                why = "its mailbox is full of hellos"
                self._answers.post(Dismissed(camera, item.link, deliveries.NOT_OWNER, why))

    def _ask_again(self, hosted: Hosted) -> None:
        """There is room for what was refused."""
        for answer in camera_core.ask_again(hosted.core):
            self._answers.post(answer)

    def forget(self, hosted: Hosted) -> None:
        """The core of `hosted` is thrown away: so is what waits for it."""
        self._turns.forget(hosted)

    def commit_soon(self, hosted: Hosted) -> None:
        """Something of `hosted` waits for its commit."""
        hosted.live_changed = True
        self._commits.stepped(hosted, urgent=True)

    def moved(self, row: CommitRow) -> None:
        """`row` is committed."""
        self.registry.committed(row)

    def step(self, hosted: Hosted, items: Sequence[Input]) -> None:
        """Step a camera and carry the effects out; an error in it is the camera's alone."""
        began = time.perf_counter()
        effects = self.guarded(
            hosted, "its steps fail", lambda: camera_core.step(hosted.core, items, self._now_us())
        )
        hosted.cost.spent(time.perf_counter() - began, time.monotonic())
        if effects is not None:
            self.carry_out(hosted, effects)

    def guarded(self, hosted: Hosted, what: str, work: Callable[[], T]) -> T | None:
        """`work` of one camera's core, or None where it fails: it starts again from its last
        commit, its neighbours go on.

        While it runs the camera's name is noted: work that ends the process is told by it.
        """
        self.note.set(hosted.camera)
        try:
            return work()
        except Exception:
            log.exception(
                "camera %s: %s, it starts again from its last commit", hosted.camera, what
            )
            self._commits.fault(hosted, what)
            return None
        finally:
            self.note.set("")

    def row_of(self, hosted: Hosted) -> CommitRow | None:
        """What a camera has to write; an error in it is the camera's alone, as one in a step is."""
        work = partial(self._sealer.row_of, hosted.core)
        return self.guarded(hosted, "its row cannot be made", work)

    def carry_out(self, hosted: Hosted, effects: Effects) -> None:
        """Carry effects out."""
        for answer in effects.answers:
            if isinstance(answer, Dismissed):
                hosted.links.pop(answer.link, None)
            self._answers.post(answer)
        if effects.opens is not None:
            hosted.opens = effects.opens
        if effects.live_changed:
            hosted.live_changed = True
            self._live.changed()
        self._commits.stepped(hosted, urgent=effects.urgent or effects.opens is not None)

    def restore(self, activation: Activation) -> camera_core.CameraCore | None:
        """The core of an activation, or None when its row cannot be read."""
        if not activation.snapshot:  # a new epoch of a fresh row has an empty one
            activation = msgspec.structs.replace(activation, snapshot=None)
        self.note.set(activation.camera)
        try:
            core = camera_core.restore(
                activation, owner=self.name, settings=self._settings, now_us=self._now_us()
            )
        except (BadInput, ArithmeticError, LookupError, TypeError, ValueError) as error:
            self.given_up[activation.camera] = f"its snapshot or scene cannot be read: {error}"
            log.error("camera %s: %s", activation.camera, self.given_up[activation.camera])
            return None
        finally:
            self.note.set("")
        paused = activation.camera in self._paused
        camera_core.set_window(core, self._commits.window_items)
        if paused:
            camera_core.pause(
                core, True, 0, self._now_us()
            )  # what follows is carried out with its first tick
        return core

    def leave(self, hosted: Hosted, reason: str, *, code: int = deliveries.NOT_OWNER) -> None:
        """Stop hosting a camera; its hubs look it up again, or end its links for another `code`."""
        if self._cameras.pop(hosted.camera, None) is None:
            return
        hosted.phase = "renewing"
        self._turns.forget(hosted)
        log.info("camera %s left %s: %s", hosted.camera, self.name, reason)
        for link in hosted.links:
            self._answers.post(Dismissed(hosted.camera, link, code, reason[:200]))
        self._commits.set_windows()

    async def _settle(self, cameras: Iterable[str]) -> None:
        """Wait until nothing of `cameras` is uncommitted."""
        wanted = set(cameras)
        while True:
            self._commits.hurry()
            if not (
                any(map(self._turns.waits, wanted))
                or wanted & self._commits.open_work() & self._cameras.keys()
            ):
                return
            await asyncio.sleep(0.005)

    def _now_us(self) -> int:
        now_us, stepped_us = self._clock.look()
        if stepped_us:
            log.warning(
                "the clock of this machine was set by %+.1f s: timers of %d cameras go on",
                stepped_us / 1e6,
                len(self._cameras),
            )
            for hosted in self._cameras.values():
                camera_core.clock_stepped(hosted.core, stepped_us)
        return now_us
