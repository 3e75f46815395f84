"""The life of actor processes and of cameras in them: started, given, moved, released, written off
(design section 6).

A move: the target is ready first; then the source commits and gives up, the owner changes by
compare-and-swap, the target activates. What the source says is never needed: the generation fences
it. Hubs hear from it that it is not the owner and ask where the camera is.
"""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Iterable, Sequence

from actors.core.errors import EyrieError, Full
from actors.core.log_format import counted
from actors.core.task_set import TaskSet
from cluster.planning.placement import choose, usable
from cluster.planning.reconcile import QUARANTINE_S, StartActor, Trouble, ended_its_process, failed
from cluster.supervisor.fleet import Actor, FleetMemory
from cluster.supervisor.ports import Machine, SupervisorStores
from cluster.supervisor.services import stop_all
from storage.ports.processes import ActorRecord

ENSURE_S = 1.0  # seconds a process may take to say what it hosts
RELEASE_S = 3.0  # seconds a source may take for its last commit; then it is fenced without
RETRY_S = 1.0  # seconds before a process is asked again what it hosts
MOVES_WAIT_S = 30.0  # seconds, at most, that moves wait after a target that did not start
MAX_DIED = 256  # processes that are remembered until their node tells what they ended with
# no process has this name: renewing its heartbeat changes nothing, and shows whether PostgreSQL
# takes writes
NOBODY = "-"
AWAY_S = 3.0  # seconds that a camera waits which could not start because PostgreSQL was away

log = logging.getLogger("eyrie.cluster.hosting")


class Hosting:
    """Acts on the `fleet`; decides nothing (`cluster.planning.reconcile` does)."""

    def __init__(
        self, fleet: FleetMemory, stores: SupervisorStores, machine: Machine, tasks: TaskSet
    ) -> None:
        self._fleet = fleet
        self._stores = stores
        self._machine = machine
        self._tasks = tasks
        self._start_timeout_s = fleet.settings.cluster.start_timeout_s

    async def refresh(self) -> None:
        """Read owners and sites. Raises Unavailable."""
        self._fleet.owners = await self._stores.cameras.owners()
        self._fleet.sites = await self._stores.cameras.homes()

    async def look_back(self) -> None:
        """Cameras that had an owner are wanted again; processes that still live are kept. Raises
        Unavailable."""
        fleet = self._fleet
        await self.refresh()
        found: list[Actor] = []
        for record in await self._stores.actors.all():
            process = await self._machine.find_cameras(record.name)
            if process is None:
                await self._stores.actors.remove(record.name)
                continue
            log.info("found the living actor %s", record.name)
            owned = {c: 0.0 for c, owner in fleet.owners.items() if owner == record.name}
            found.append(
                Actor(
                    record.name,
                    process,
                    "ready",
                    owned,
                    max(1, len(owned)),
                    node=record.node,
                    pid=record.pid,
                    reason=record.reason,
                )
            )
        for actor in found:  # nothing fails from here on
            fleet.actors[actor.name] = actor
            self._tasks.spawn(self._watch(actor))
            self._tasks.spawn(self._learn(actor, list(actor.cameras)))
        fleet.wanted = dict.fromkeys(
            camera for camera, owner in fleet.owners.items() if owner is not None
        )
        for trouble in fleet.orders.troubles:
            if trouble.alone:
                fleet.trouble[trouble.camera] = Trouble(
                    trouble.failures, 0.0, trouble.reason, alone=True
                )
            if trouble.quarantined and not trouble.who:
                until = time.monotonic() + max(0.0, QUARANTINE_S - trouble.age_s)
                fleet.trouble[trouble.camera] = Trouble(
                    trouble.failures, until, trouble.reason, True, alone=trouble.alone
                )

    def begin(self, action: StartActor) -> None:
        """Start a process; where it goes is decided now."""
        fleet = self._fleet
        cameras = [*action.cameras, *action.incoming]
        stem = cameras[0][:40] if len(cameras) == 1 else "cameras"
        name = f"{stem}.{secrets.token_hex(5)}"
        node, why = self._place(action, cameras)
        try:
            process = self._machine.start_cameras(name, action.density, node)
        except EyrieError as error:
            self.note_failure(dict.fromkeys(action.cameras, 0.0), str(error))
            return
        actor = fleet.actors[name] = Actor(
            name,
            process,
            "starting",
            dict.fromkeys(action.cameras, 0.0),
            action.density,
            dict.fromkeys(action.incoming),
            node,
            reason=why,
        )
        fleet.decide(
            f"actor:{name}",
            f"started for {len(cameras)} of {counted(action.density, 'camera')} on "
            f"{node or 'any node'}",
            why,
        )
        self._tasks.spawn(self._bring_up(actor))

    def _place(self, action: StartActor, cameras: Sequence[str]) -> tuple[str, str]:
        fleet = self._fleet
        if action.node:
            return action.node, "ordered to be on this node"
        site = fleet.sites.get(cameras[0], "") if cameras else ""
        choice = choose(usable(fleet.nodes, fleet.cordoned), fleet.loads(site))
        return (
            ("", "no node is known to have room: Ray chooses")
            if choice is None
            else (choice.node, choice.why)
        )

    async def _bring_up(self, actor: Actor) -> None:
        began = time.monotonic()
        try:
            await self._stores.actors.put(ActorRecord(actor.name))
            where = await actor.process.open(self._start_timeout_s)
            if isinstance(where, dict):
                actor.node, actor.pid = str(where.get("node", actor.node)), int(where.get("pid", 0))
                actor.link = dict(where.get("link", {}))
                await self._stores.actors.put(
                    ActorRecord(actor.name, actor.node, actor.pid, "ready", actor.reason)
                )
        except EyrieError as error:
            await self.lose(actor, f"it did not start: {error}")
            return
        if isinstance(where, dict):
            self._learn_deaths(where.get("died", {}))
            for cameras in (
                actor.cameras,
                actor.incoming,
            ):  # those that are alone from now on are placed by themselves
                for camera in [
                    camera for camera in cameras if self._fleet.density_of(camera) < actor.density
                ]:
                    del cameras[camera]
        actor.phase = "ready"
        self._fleet.meter.started(time.monotonic() - began)
        self._fleet.wake.set()
        self._tasks.spawn(self._watch(actor))
        await self.give(actor, tuple(actor.cameras))
        if actor.incoming:
            await self.move(actor, tuple(actor.incoming))

    def _learn_deaths(self, died: dict[str, str]) -> None:
        """`died`: processes of a node that ended, each with the camera that it was busy with then
        (`actors.step_notes`)."""
        fleet = self._fleet
        for name, camera in died.items():
            if camera not in fleet.died.pop(name, ()):
                continue  # of an earlier run, or not its own
            trouble = fleet.trouble.setdefault(camera, Trouble())
            fleet.unsaved.add(camera)
            log.warning("actor %s ended while it was busy with camera %s", name, camera)
            if ended_its_process(trouble):
                log.error(
                    "camera %s gets a process of its own until it is released: it ended two", camera
                )
                fleet.decide(
                    f"camera:{camera}",
                    "gets a process of its own until it is released",
                    f"{trouble.deaths} ended with it",
                )

    async def give(self, actor: Actor, cameras: Sequence[str]) -> bool:
        """Assign cameras to a ready process and activate them there; whether that was done for
        all."""
        fleet = self._fleet
        mine: list[str] = []
        actor.cameras.update({camera: 0.0 for camera in cameras if camera not in actor.cameras})
        try:
            await self.tell_pauses(actor)
            for camera in cameras:
                if await self._stores.cameras.assign(
                    camera, actor.name, previous=fleet.owners.get(camera)
                ):
                    fleet.owners[camera] = actor.name
                    mine.append(camera)
                else:
                    log.warning(
                        "camera %s has another owner than was known, it is looked at again", camera
                    )
                    actor.cameras.pop(camera, None)
            if len(mine) < len(cameras):
                await self.refresh()
            refused = await actor.process.adopt(mine, self._start_timeout_s) if mine else {}
        except EyrieError as error:
            if actor.phase == "ready":
                await self._not_given(
                    actor,
                    cameras,
                    f"it did not activate its cameras: {error}",
                    full=isinstance(error, Full),
                )
            return False
        now = time.monotonic()
        for camera in mine:
            if camera in refused:
                actor.cameras.pop(camera, None)
                self.note_failure({camera: 0.0}, refused[camera])
            elif camera in actor.cameras:
                actor.cameras[camera] = now
                log.info("camera %s lives in %s", camera, actor.name)
                fleet.urgent.pop(camera, None)
                fleet.wanted[camera] = None
        fleet.changed.set()
        fleet.wake.set()
        return len(mine) == len(cameras) and not refused

    async def _not_given(
        self, actor: Actor, cameras: Sequence[str], reason: str, *, full: bool
    ) -> None:
        """`cameras` did not come to life in `actor`: they are placed again. A process that hosts
        others goes on with them.

        `full`: PostgreSQL has no room, which is nobody's failure.
        """
        if not any(actor.cameras.values()):
            await self.lose(actor, reason, full=full)
            return
        log.warning("%d cameras are placed again, %s: %s", len(cameras), actor.name, reason)
        await self._blame(
            {camera: 0.0 for camera in cameras if actor.cameras.pop(camera, None) is not None},
            reason,
            full=full,
        )
        self._fleet.wake.set()

    async def move(self, target: Actor, cameras: Iterable[str]) -> None:
        """Take cameras from where they are hosted and give them to `target`, which is ready; those
        without a host are just given."""
        fleet = self._fleet
        groups: dict[str, list[str]] = {}
        for camera in list(cameras):
            target.incoming.pop(camera, None)
            source = fleet.host_of(camera)
            if source is target or target.phase != "ready":
                continue
            if source is not None and not source.cameras.get(camera):
                continue  # it is just being given to that one: it moves from there when it lives
            groups.setdefault("" if source is None else source.name, []).append(camera)
        await asyncio.gather(
            *(
                self._hand_over(fleet.actors.get(source), target, group)
                for source, group in groups.items()
            )
        )

    async def _hand_over(self, source: Actor | None, target: Actor, cameras: Sequence[str]) -> None:
        began = time.monotonic()
        target.cameras.update(dict.fromkeys(cameras, 0.0))
        if source is not None:
            for camera in cameras:
                source.cameras.pop(camera, None)
            try:
                await source.process.release(cameras, RELEASE_S)
            except EyrieError as error:
                log.warning(
                    "%s did not release %d cameras, their new generation fences it: %s",
                    source.name,
                    len(cameras),
                    error,
                )
        given = await self.give(target, cameras)
        ended = time.monotonic()
        if given:
            self._fleet.move_trouble = Trouble()
        if source is not None and given:
            for camera in cameras:
                self._fleet.meter.moved(camera, ended - began, ended)
                self._fleet.decide(
                    f"camera:{camera}", f"moved from {source.name} to {target.name}", target.reason
                )

    async def release(self, actor: Actor, cameras: Sequence[str]) -> None:
        """Commit and give up cameras that nobody wants to run."""
        for camera in cameras:
            actor.cameras.pop(camera, None)
        try:
            await actor.process.release(cameras, RELEASE_S)
        except EyrieError as error:
            await self.lose(actor, f"it did not give up {counted(len(cameras), 'camera')}: {error}")
        for camera in cameras:
            if camera in self._fleet.idle:  # the next supervisor need not wake it
                await self._disown(camera, actor.name)
        self._fleet.wake.set()

    async def _disown(self, camera: str, name: str) -> None:
        try:
            if await self._stores.cameras.assign(camera, None, previous=name):
                self._fleet.owners[camera] = None
                self._fleet.wanted.pop(camera, None)
        except EyrieError as error:
            log.info("camera %s keeps its last owner in the store: %s", camera, error)

    async def tell_pauses(self, actor: Actor) -> None:
        """Tell a process which of its cameras take nothing in. Raises Unavailable."""
        paused = frozenset(camera for camera in actor.cameras if self._fleet.is_paused(camera))
        if paused != actor.paused:
            await actor.process.pause(sorted(paused), self._fleet.settings.hub.call_timeout_s)
            actor.paused = paused

    async def _watch(self, actor: Actor) -> None:
        reason = await actor.process.died()
        if actor.phase != "stopping":
            await self.lose(actor, f"it died: {reason}")

    async def lose(self, actor: Actor, reason: str, *, full: bool = False) -> None:
        """Write a process off: its cameras go to a successor at once, fenced by their generation,
        not by its death."""
        if self._fleet.actors.pop(actor.name, None) is None:
            return
        actor.phase = "stopping"
        log.warning("actor %s is replaced: %s", actor.name, reason)
        self._fleet.decide(f"actor:{actor.name}", "written off", reason)
        actor.process.kill()
        self._fleet.died[actor.name] = frozenset(actor.cameras)
        while len(self._fleet.died) > MAX_DIED:
            del self._fleet.died[next(iter(self._fleet.died))]
        if actor.incoming:
            trouble, now = self._fleet.move_trouble, time.monotonic()
            failed(trouble, reason, hosted_s=0.0, now=now, jitter=random.random())
            trouble.held_until = min(trouble.held_until, now + MOVES_WAIT_S)
        await self._blame(actor.cameras, reason, full=full)
        self._fleet.wake.set()
        await self._forget_record(actor.name)

    async def end(self, actor: Actor) -> None:
        """End a process without cameras."""
        actor.phase = "stopping"
        await stop_all(
            [actor.process], time.monotonic() + self._fleet.settings.cluster.actor_dead_after_s
        )
        self._fleet.actors.pop(actor.name, None)
        await self._forget_record(actor.name)
        self._fleet.wake.set()

    async def forget_all(self) -> None:
        """Everything has stopped: no record stays."""
        for name in list(self._fleet.actors):
            await self._forget_record(name)

    async def _forget_record(self, name: str) -> None:
        try:
            await self._stores.actors.remove(name)
        except EyrieError as error:
            log.warning("the record of %s stays until the next start: %s", name, error)

    async def _blame(self, cameras: dict[str, float], reason: str, *, full: bool) -> None:
        """Note a failure of `cameras`; while PostgreSQL is away, full or only reads it is not
        theirs, and they only wait a little."""
        until = time.monotonic() + AWAY_S
        for camera in cameras:
            trouble = self._fleet.trouble.setdefault(camera, Trouble())
            trouble.reason, trouble.held_until = reason, max(trouble.held_until, until)
        try:
            await self._stores.actors.beat(NOBODY)
        except EyrieError:
            return
        if full:
            return
        self.note_failure(cameras, reason)

    def note_failure(self, cameras: dict[str, float], reason: str) -> None:
        """One more failure of cameras, each hosted since its moment (0: it was not)."""
        fleet, now = self._fleet, time.monotonic()
        for camera, since in cameras.items():
            trouble = fleet.trouble.setdefault(camera, Trouble())
            failed(
                trouble,
                reason,
                hosted_s=now - since if since else 0.0,
                now=now,
                jitter=random.random(),
            )
            fleet.restarts[camera] = fleet.restarts.get(camera, 0) + 1
            fleet.unsaved.add(camera)
            if trouble.quarantined:
                log.error(
                    "camera %s is quarantined after %d failures: %s",
                    camera,
                    trouble.failures,
                    reason,
                )
                fleet.decide(
                    f"camera:{camera}", "quarantined", f"{trouble.failures} failures: {reason}"
                )

    async def _learn(self, actor: Actor, owned: Sequence[str]) -> None:
        """Ask a process that was found alive what it hosts; those of `owned` that it was assigned
        and never activated are placed again."""
        deadline = time.monotonic() + self._start_timeout_s
        while actor.phase == "ready":
            try:
                told = await actor.process.describe(ENSURE_S)
            except EyrieError as error:
                if time.monotonic() > deadline:
                    await self.lose(actor, f"it does not say what it hosts: {error}")
                    return
                await asyncio.sleep(RETRY_S)
                continue
            actor.density = int(told.get("capacity", actor.density))
            actor.link = dict(told.get("link", {}))
            for camera in owned:
                if camera in told.get("hosted", {}):
                    actor.cameras[camera] = time.monotonic()
                else:
                    actor.cameras.pop(camera, None)
            self._fleet.changed.set()
            self._fleet.wake.set()
            return

    async def compare_hosted(self, name: str) -> None:
        """What a process says it hosts against what it was given; the rest is placed again."""
        actor = self._fleet.actors.get(name)
        if actor is None or actor.phase != "ready":
            return
        given = dict(actor.cameras)  # what is moved while it answers is not judged by the answer
        try:
            told = await actor.process.describe(ENSURE_S)
        except EyrieError as error:
            log.warning("actor %s does not say what it hosts: %s", name, error)
            return
        actor.figures = told
        hosted = told.get("hosted", {})
        for camera, since in given.items():
            if actor.cameras.get(camera) != since:
                continue
            if since and camera not in hosted:
                del actor.cameras[camera]
                self.note_failure(
                    {camera: since}, str(told.get("given_up", {}).get(camera, "no longer hosted"))
                )
            elif camera in hosted and not since:
                actor.cameras[camera] = time.monotonic()
        self._fleet.wake.set()
