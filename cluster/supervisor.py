"""The supervisor without Ray: starts policy replicas, hubs and camera actors, notices who died, replaces them (design section 5, 6).

Its state is in PostgreSQL; what it remembers can be lost. Every assignment is a compare-and-swap, so running twice harms nobody.
"""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from actors.core.errors import EyrieError
from actors.core.settings import Settings
from cluster.ports import CameraProcess, Machine, SupervisorStores
from cluster.reconcile import ActorView, GiveCameras, Limits, StartActor, StopActor, Trouble, compare, failed
from cluster.services import Services, stop_all
from cluster.tasks import Tasks
from storage.fleet_ports import ActorRecord

ENSURE_S = 1.0  # seconds an `ensure` waits at most; the caller asks again
SPARE_CONNECTIONS = 24  # PostgreSQL connections kept for hubs, the supervisor and people
RETRY_S = 1.0  # seconds before a process is asked again what it hosts
AWAY_S = 3.0  # seconds that a camera waits which could not start because PostgreSQL was away
RETIRE_S = 5.0  # seconds between two looks for cameras that were deleted

log = logging.getLogger("eyrie.cluster.supervisor")


@dataclass(slots=True, eq=False)
class _Actor:
    name: str
    process: CameraProcess
    phase: str
    cameras: dict[str, float]  # camera → since when (monotonic) it is hosted; 0 until it is


class Supervisor:
    """One per cluster. `start` begins, `ready` tells when hubs and policy answer, `ensure` is what hubs ask."""

    def __init__(
        self, settings: Settings, stores: SupervisorStores, machine: Machine, *, broken: Callable[[str], None] = lambda reason: None
    ) -> None:  # fmt: skip
        """`broken` is called when one of its loops ended by a mistake: what it remembers can be lost, so it had better start again."""
        self._settings = settings
        self._stores = stores
        self._machine = machine
        self._wanted: dict[str, None] = {}
        self._urgent: dict[str, None] = {}
        self._owners: dict[str, str | None] = {}
        self._actors: dict[str, _Actor] = {}
        self._trouble: dict[str, Trouble] = {}
        self._services = Services(settings.cluster.start_timeout_s)
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._tasks = Tasks(broken)
        self._stopping = False
        self._readable_since: float | None = None
        self._refused: list[str] = []

    async def start(self) -> None:
        """Read what was, start services and the loops. Raises Unavailable when PostgreSQL is away."""
        await self._look_back()
        policy, hub = self._settings.policy.replicas, self._settings.hub.replicas
        names = [*(f"policy-{index}" for index in range(policy)), *(f"hub-{index}" for index in range(hub))]
        self._services.states = dict.fromkeys(names, "starting")
        for index in range(policy):
            self._tasks.spawn(self._services.keep(f"policy-{index}", lambda index=index: self._machine.start_policy(index)), loop=True)  # type: ignore[misc]
        for index in range(hub):
            self._tasks.spawn(self._services.keep(f"hub-{index}", lambda index=index: self._machine.start_hub(index)), loop=True)  # type: ignore[misc]
        self._tasks.spawn(self._reconcile_loop(), loop=True)
        self._tasks.spawn(self._beats_loop(), loop=True)
        self._tasks.spawn(self._retire_loop(), loop=True)

    async def ensure(self, cameras: Sequence[str], doubted: Sequence[str] = ()) -> dict[str, str]:
        """Camera → actor process that hosts it, starting what is needed; waits at most `ENSURE_S`. Missing: not yet, ask again.

        `doubted` names processes that failed the caller: what they host is compared first.
        """
        for name in doubted:
            await self._compare_hosted(name)
        for camera in cameras:
            if camera not in self._placed():
                self._urgent[camera] = None
        self._wake.set()
        deadline = time.monotonic() + ENSURE_S
        while True:
            placed = self._placed()
            if all(camera in placed for camera in cameras) or self._stopping:
                break
            self._changed.clear()
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._changed.wait()
            except TimeoutError:
                break
        placed = self._placed()
        return {camera: placed[camera] for camera in cameras if camera in placed}

    async def ready(self, timeout_s: float) -> dict[str, Any]:
        """Wait until every policy replica and hub is up; the status. Raises Unavailable naming what is not."""
        await self._services.ready(timeout_s)
        return self.status()

    def status(self) -> dict[str, Any]:
        """What runs, for people."""
        now = time.monotonic()
        return {
            "services": dict(self._services.states),
            "actors": [
                {"name": a.name, "phase": a.phase, "cameras": {c: round(now - s, 1) if s else None for c, s in a.cameras.items()}}
                for a in self._actors.values()
            ],
            "wanted": len(self._wanted),
            "held": {
                camera: {"failures": trouble.failures, "reason": trouble.reason, "quarantined": trouble.quarantined}
                for camera, trouble in self._trouble.items()
                if trouble.reason
            },
            "refused": self._refused,
        }  # fmt: skip

    async def stop(self, grace_s: float) -> bool:
        """Hubs stop taking edges, then every camera commits, then policy ends. True when all that was stepped is durable."""
        self._stopping = True
        await self._tasks.cancel()
        deadline = time.monotonic() + grace_s
        await stop_all(
            self._services.of("hub"), time.monotonic() + grace_s / 2
        )  # a hub that hangs must not take the time of the last commits
        durable = await stop_all([actor.process for actor in self._actors.values()], deadline)
        await stop_all(self._services.of("policy"), deadline)
        for name in list(self._actors):
            await self._forget_record(name)
        await self._stores.close()
        return durable

    async def _look_back(self) -> None:
        """Cameras that had an owner are wanted again; processes that still live are kept."""
        self._owners = await self._stores.cameras.owners()
        found: list[_Actor] = []
        for record in await self._stores.actors.all():
            process = await self._machine.find_cameras(record.name)
            if process is None:
                await self._stores.actors.remove(record.name)
                continue
            log.info("found the living actor %s", record.name)
            found.append(_Actor(record.name, process, "ready", {c: 0.0 for c, owner in self._owners.items() if owner == record.name}))
        for actor in found:  # nothing fails from here on
            self._actors[actor.name] = actor
            self._tasks.spawn(self._watch(actor))
            self._tasks.spawn(self._learn(actor, list(actor.cameras)))
        self._wanted = dict.fromkeys(camera for camera, owner in self._owners.items() if owner is not None)

    async def _learn(self, actor: _Actor, owned: Sequence[str]) -> None:
        """Ask a process that was found alive what it hosts; those of `owned` that it was assigned and never activated are placed again."""
        deadline = time.monotonic() + self._settings.cluster.start_timeout_s
        while actor.phase == "ready":
            try:
                hosted = (await actor.process.describe(ENSURE_S)).get("hosted", {})
            except EyrieError as error:
                if time.monotonic() > deadline:
                    await self._lose(actor, f"it does not say what it hosts: {error}")
                    return
                await asyncio.sleep(RETRY_S)
                continue
            for camera in owned:
                if camera in hosted:
                    actor.cameras[camera] = time.monotonic()
                else:
                    actor.cameras.pop(camera, None)
            self._changed.set()
            self._wake.set()
            return

    def _placed(self) -> dict[str, str]:
        return {camera: a.name for a in self._actors.values() if a.phase == "ready" for camera, since in a.cameras.items() if since}

    async def _reconcile_loop(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._reconcile()
            except EyrieError as error:
                log.warning("reconciling waits: %s", error)
            try:
                async with asyncio.timeout(self._settings.cluster.reconcile_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _reconcile(self) -> None:
        if any(camera not in self._owners for camera in self._urgent):
            self._owners = await self._stores.cameras.owners()
        for camera in list(self._urgent):
            if camera not in self._owners:
                log.warning("camera %s is wanted and not registered", camera)
                del self._urgent[camera]
        self._wanted.update(self._urgent)
        views = [ActorView(a.name, a.phase, tuple(a.cameras)) for a in self._actors.values()]
        held = {camera: trouble.held_until for camera, trouble in self._trouble.items()}
        limits = Limits(
            self._settings.cluster.cameras_per_actor,
            self._machine.cores(),
            max(1, self._settings.postgres.max_connections - SPARE_CONNECTIONS),
        )
        plan = compare([*self._urgent, *self._wanted], views, held, time.monotonic(), limits)
        if plan.refused and plan.refused != self._refused:
            log.error("%d cameras find no process: %d is all that PostgreSQL has connections for", len(plan.refused), limits.max_actors)
        self._refused = plan.refused
        for action in plan.actions:
            match action:
                case StartActor(cameras):
                    self._begin(cameras)
                case GiveCameras(name, cameras):
                    actor = self._actors[name]
                    actor.cameras.update(dict.fromkeys(cameras, 0.0))
                    self._tasks.spawn(self._give(actor, cameras))
                case StopActor(name):
                    self._actors[name].phase = "stopping"
                    self._tasks.spawn(self._end(self._actors[name]))

    def _begin(self, cameras: tuple[str, ...]) -> None:
        stem = cameras[0][:40] if len(cameras) == 1 else "cameras"
        name = f"{stem}.{secrets.token_hex(5)}"
        try:
            process = self._machine.start_cameras(name, self._settings.cluster.cameras_per_actor)
        except EyrieError as error:
            self._note_failure(dict.fromkeys(cameras, 0.0), str(error))
            return
        actor = self._actors[name] = _Actor(name, process, "starting", dict.fromkeys(cameras, 0.0))
        self._tasks.spawn(self._bring_up(actor))

    async def _bring_up(self, actor: _Actor) -> None:
        timeout_s = self._settings.cluster.start_timeout_s
        try:
            await self._stores.actors.put(ActorRecord(actor.name))
            where = await actor.process.open(timeout_s)
            if isinstance(where, dict):
                await self._stores.actors.put(ActorRecord(actor.name, str(where.get("node", "")), int(where.get("pid", 0)), "ready"))
        except EyrieError as error:
            await self._lose(actor, f"it did not start: {error}")
            return
        actor.phase = "ready"
        self._wake.set()
        self._tasks.spawn(self._watch(actor))
        await self._give(actor, tuple(actor.cameras))

    async def _give(self, actor: _Actor, cameras: tuple[str, ...]) -> None:
        """Assign cameras to a ready process and activate them there."""
        mine: list[str] = []
        try:
            for camera in cameras:
                if await self._stores.cameras.assign(camera, actor.name, previous=self._owners.get(camera)):
                    self._owners[camera] = actor.name
                    mine.append(camera)
                else:
                    log.warning("camera %s has another owner than was known, it is looked at again", camera)
                    actor.cameras.pop(camera, None)
            if len(mine) < len(cameras):
                self._owners = await self._stores.cameras.owners()
            refused = await actor.process.adopt(mine, self._settings.cluster.start_timeout_s) if mine else {}
        except EyrieError as error:
            if actor.phase == "ready":
                await self._not_given(actor, cameras, f"it did not activate its cameras: {error}")
            return
        now = time.monotonic()
        for camera in mine:
            if camera in refused:
                actor.cameras.pop(camera, None)
                self._note_failure({camera: 0.0}, refused[camera])
            elif camera in actor.cameras:
                actor.cameras[camera] = now
                log.info("camera %s lives in %s", camera, actor.name)
                self._urgent.pop(camera, None)
        self._changed.set()
        self._wake.set()

    async def _not_given(self, actor: _Actor, cameras: Sequence[str], reason: str) -> None:
        """`cameras` did not come to life in `actor`: they are placed again. A process that hosts others goes on with them."""
        if not any(actor.cameras.values()):
            await self._lose(actor, reason)
            return
        log.warning("%d cameras are placed again, %s: %s", len(cameras), actor.name, reason)
        await self._blame({camera: 0.0 for camera in cameras if actor.cameras.pop(camera, None) is not None}, reason)
        self._wake.set()

    async def _watch(self, actor: _Actor) -> None:
        reason = await actor.process.died()
        if actor.phase != "stopping":
            await self._lose(actor, f"it died: {reason}")

    async def _lose(self, actor: _Actor, reason: str) -> None:
        """Write a process off: its cameras go to a successor at once, fenced by their generation, not by its death."""
        if self._actors.pop(actor.name, None) is None:
            return
        actor.phase = "stopping"
        log.warning("actor %s is replaced: %s", actor.name, reason)
        actor.process.kill()
        await self._blame(actor.cameras, reason)
        self._wake.set()
        await self._forget_record(actor.name)

    async def _end(self, actor: _Actor) -> None:
        await stop_all([actor.process], time.monotonic() + self._settings.cluster.actor_dead_after_s)
        self._actors.pop(actor.name, None)
        await self._forget_record(actor.name)
        self._wake.set()

    async def _forget_record(self, name: str) -> None:
        try:
            await self._stores.actors.remove(name)
        except EyrieError as error:
            log.warning("the record of %s stays until the next start: %s", name, error)

    async def _blame(self, cameras: dict[str, float], reason: str) -> None:
        """Note a failure of `cameras`; while PostgreSQL is away it is not theirs, and they only wait a little."""
        until = time.monotonic() + AWAY_S
        for camera in cameras:
            trouble = self._trouble.setdefault(camera, Trouble())
            trouble.reason, trouble.held_until = reason, max(trouble.held_until, until)
        try:
            await self._stores.actors.all()
        except EyrieError:
            return
        self._note_failure(cameras, reason)

    def _note_failure(self, cameras: dict[str, float], reason: str) -> None:
        now = time.monotonic()
        for camera, since in cameras.items():
            trouble = self._trouble.setdefault(camera, Trouble())
            failed(trouble, reason, hosted_s=now - since if since else 0.0, now=now, jitter=random.random())
            if trouble.quarantined:
                log.error("camera %s is quarantined after %d failures: %s", camera, trouble.failures, reason)

    async def _compare_hosted(self, name: str) -> None:
        """What a process says it hosts against what it was given; the rest is placed again."""
        actor = self._actors.get(name)
        if actor is None or actor.phase != "ready":
            return
        try:
            told = await actor.process.describe(ENSURE_S)
        except EyrieError as error:
            log.warning("actor %s does not say what it hosts: %s", name, error)
            return
        hosted = told.get("hosted", {})
        for camera, since in list(actor.cameras.items()):
            if since and camera not in hosted:
                del actor.cameras[camera]
                self._note_failure({camera: since}, str(told.get("given_up", {}).get(camera, "no longer hosted")))
            elif camera in hosted and not since:
                actor.cameras[camera] = time.monotonic()
        self._wake.set()

    async def _beats_loop(self) -> None:
        """A process whose working loop has not renewed its heartbeat is replaced. Ages are the database's."""
        dead_after_s = self._settings.cluster.actor_dead_after_s
        while True:
            await asyncio.sleep(max(0.5, dead_after_s / 5))
            try:
                records = await self._stores.actors.all()
            except EyrieError as error:
                if self._readable_since is not None:
                    log.warning("heartbeats cannot be read: %s", error)
                self._readable_since = None
                continue
            now = time.monotonic()
            self._readable_since = self._readable_since or now
            if now - self._readable_since < dead_after_s:
                continue  # while PostgreSQL was away nobody could renew
            for record in records:
                actor = self._actors.get(record.name)
                if actor is not None and actor.phase == "ready" and record.age_s > dead_after_s:
                    await self._lose(actor, f"no heartbeat for {record.age_s:.1f} s")

    async def _retire_loop(self) -> None:
        while True:
            await asyncio.sleep(RETIRE_S)
            try:
                await self._retire_deleted()
            except EyrieError as error:
                log.info("deleted cameras cannot be looked for now: %s", error)

    async def _retire_deleted(self) -> None:
        """Cameras that are no longer registered are wanted no more (their actors leave them by themselves); an empty process ends."""
        known = {*self._wanted, *(camera for actor in self._actors.values() for camera in actor.cameras)}
        self._owners = await self._stores.cameras.owners()
        for camera in known - self._owners.keys():
            log.info("camera %s was deleted", camera)
            self._wanted.pop(camera, None)
            self._urgent.pop(camera, None)
            self._trouble.pop(camera, None)
            for actor in self._actors.values():
                actor.cameras.pop(camera, None)
            self._wake.set()
