"""The supervisor without Ray: starts policy replicas, hubs and camera actors, notices who died,
replaces them (design section 5, 6).

Its state is in PostgreSQL; what it remembers (`cluster.supervisor.fleet`) can be lost. Every
assignment is a compare-and-swap, so running twice harms nobody. This room holds its loops and what
it is asked; `cluster.supervisor.hosting` acts, `cluster.planning.reconcile` decides.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from actors.core.errors import EyrieError
from actors.core.settings import Settings
from actors.core.task_set import TaskSet
from cluster.planning.placement import choose, usable
from cluster.planning.reconcile import (
    GiveCameras,
    MoveCameras,
    ReconcileLimits,
    ReleaseCameras,
    StartActor,
    StopActor,
    compare,
)
from cluster.supervisor import snapshots
from cluster.supervisor.autoscaler import Autoscaler
from cluster.supervisor.dry_run import Planner
from cluster.supervisor.fleet import Actor, FleetMemory
from cluster.supervisor.heartbeats import Beats
from cluster.supervisor.hosting import NOBODY, Hosting
from cluster.supervisor.models import SCALED, ClusterSnapshot, PlanReport
from cluster.supervisor.operations import Operations
from cluster.supervisor.ports import Machine, Process, SupervisorStores
from cluster.supervisor.services import Services, stop_all
from cluster.supervisor.standstill import StandstillWatch
from cluster.supervisor.survey import Survey
from cluster.supervisor.upkeep.deleted_cameras import DeletedCameras
from storage.ports.cluster import TroubleRecord

ENSURE_S = 1.0  # seconds an `ensure` waits at most; the caller asks again
SPARE_CONNECTIONS = 24  # PostgreSQL connections kept for hubs, the supervisor and people
# seconds a comparison waits for PostgreSQL; then it goes by what is known
READ_S = 2.0
NODES_S = 1.0  # seconds between two looks at the nodes
# looks in a row at a node that does not answer after which its processes are replaced
SILENT_LOOKS = 2
# seconds a service may take to stop, beyond the spread of its dashboards' closes
STOP_GRACE_S = 5.0

log = logging.getLogger("eyrie.cluster.supervisor")


class Supervisor:
    """One per cluster. `start` begins, `ready` tells when hubs and policy answer, `ensure` is what
    hubs ask."""

    def __init__(
        self,
        settings: Settings,
        stores: SupervisorStores,
        machine: Machine,
        *,
        broken: Callable[[str], None] = lambda reason: None,
    ) -> None:
        """`broken` is called when one of its loops ended by a mistake: what it remembers can be
        lost, so it had better start again."""
        self._settings = settings
        self._stores = stores
        self._machine = machine
        self._tasks = TaskSet(log, broken)
        self.fleet = FleetMemory(settings)
        self._hosting = Hosting(self.fleet, stores, machine, self._tasks)
        starts = {kind: partial(self._start_one, kind) for kind in SCALED.values()}
        grace_s = settings.hub.drain_s + STOP_GRACE_S
        self._services = Services(
            starts, self._tasks, start_timeout_s=settings.cluster.start_timeout_s, grace_s=grace_s
        )
        self._operations = Operations(self.fleet, self._services, stores.cluster, machine)
        self._deleted = DeletedCameras(self.fleet, self._hosting, stores.cluster)
        self._survey = Survey(self.fleet, self._hosting, settings.cluster)
        self._autoscaler = Autoscaler(self.fleet, self._services, stores.cluster, machine)
        self._standstill = StandstillWatch(
            self._services, machine.here, self.fleet.decide, machine.where
        )
        self._stopping = False
        self._read_at = float("-inf")
        self._away = False
        self._turned_at = time.monotonic()

    async def start(self) -> None:
        """Read what was, start services and the loops. Raises Unavailable when PostgreSQL is
        away."""
        self.fleet.obey(await self._stores.cluster.orders())
        self.fleet.nodes = await self._machine.nodes()
        await self._hosting.look_back()
        self._want_services()
        for name in await self._machine.services():
            self._services.found(name)
        for name, loop in (
            ("reconciling", self._reconcile_loop()),
            ("heartbeats", self._beats_loop()),
            ("deleted cameras", self._deleted.run()),
            ("nodes", self._nodes_loop()),
            ("survey", self._survey.run()),
            ("autoscaler", self._autoscaler.run()),
            ("standstill", self._standstill.run()),
        ):
            self._tasks.spawn(loop, name, forever=True)

    async def ensure(self, cameras: Sequence[str], doubted: Sequence[str] = ()) -> dict[str, str]:
        """Camera → actor process that hosts it, starting what is needed; waits at most `ENSURE_S`.
        Missing: not yet, ask again.

        `doubted` names processes that failed the caller: what they host is compared first, where
        one of `cameras` should be there.
        """
        fleet = self.fleet
        placed = fleet.placed()
        for name in doubted:
            if any(
                placed.get(camera) == name for camera in cameras
            ):  # a camera that has moved need not wait for what its source says
                await self._hosting.compare_hosted(name)
        placed = fleet.placed()
        for camera in cameras:
            if camera not in placed:
                fleet.urgent[camera] = None
                fleet.idle.pop(camera, None)
        fleet.wake.set()
        deadline = time.monotonic() + ENSURE_S
        while True:
            placed = fleet.placed()
            if all(camera in placed for camera in cameras) or self._stopping:
                break
            fleet.changed.clear()
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await fleet.changed.wait()
            except TimeoutError:
                break
        placed = fleet.placed()
        return {camera: placed[camera] for camera in cameras if camera in placed}

    async def ready(self, timeout_s: float) -> dict[str, Any]:
        """Wait until every policy replica and hub is up; the status. Raises Unavailable naming what
        is not."""
        await self._services.ready(timeout_s)
        return self.status()

    def turn_age_s(self) -> float:
        """Seconds since it last began to compare what should run with what runs."""
        return time.monotonic() - self._turned_at

    def status(self) -> dict[str, Any]:
        """What runs, for people."""
        return snapshots.status(self.fleet, self._services)

    def snapshot(self) -> ClusterSnapshot:
        return snapshots.snapshot(self.fleet, self._services)

    def plan(self, kind: str, target: str, params: dict[str, Any]) -> PlanReport:
        return Planner(self.fleet, self._services, self._limits()).plan(kind, target, params)

    def wake(self) -> None:
        self._read_at = float("-inf")
        self.fleet.wake.set()

    async def stop(self, grace_s: float) -> bool:
        """Hubs stop taking edges, then every camera commits, then policy ends. True when all that
        was stepped is durable."""
        self._stopping = True
        await self._tasks.close()
        deadline = time.monotonic() + grace_s
        serving = [*self._services.of("hub"), *self._services.of("worker")]
        # one that hangs must not take the time of the last commits
        await stop_all(serving, time.monotonic() + grace_s / 2)
        durable = await stop_all([actor.process for actor in self.fleet.actors.values()], deadline)
        await stop_all(self._services.of("policy"), deadline)
        await self._hosting.forget_all()
        await self._stores.close()
        return durable

    def _want_services(self) -> None:
        shape = self.fleet.shape
        more = self._services.leave(self.fleet.left_nodes)
        for kind, count in ((kind, shape.scale(target).count) for target, kind in SCALED.items()):
            for done in self._services.want(kind, count, more.get(kind, 0)):
                self.fleet.decide("cluster", done, f"{count} of {kind} wanted")

    async def _start_one(self, kind: str, index: int) -> Process:
        m, node = self._machine, self._node_for(kind, index)
        starts = {"policy": m.start_policy, "hub": m.start_hub, "worker": m.start_worker}
        return await starts[kind](index, node)

    def _node_for(self, kind: str, index: int) -> str:
        choice = choose(
            usable(self.fleet.nodes, self.fleet.cordoned),
            self.fleet.loads(services=self._services.on_nodes(kind)),
            services=True,
        )
        if choice is None:
            return ""
        service = self._services.services[f"{kind}-{index}"]
        service.reason, service.node = (
            choice.why,
            choice.node,
        )  # counted from now on: others may start at the same time
        return choice.node

    def _limits(self) -> ReconcileLimits:
        limits = ReconcileLimits(
            self._machine.cores(),
            max(1, self._settings.postgres.max_connections - SPARE_CONNECTIONS),
        )
        held = time.monotonic() < self.fleet.move_trouble.held_until
        return msgspec.structs.replace(limits, max_moving=0) if held else limits

    async def _reconcile_loop(self) -> None:
        reading: asyncio.Task[None] | None = None
        while True:
            self.fleet.wake.clear()
            self._turned_at = time.monotonic()
            if reading is None:
                reading = self._tasks.spawn(self._read_all(), "reading orders")
                await asyncio.wait((reading,), timeout=READ_S)
            if reading.done():
                reading.result()
                reading = None
            self._reconcile()
            try:
                async with asyncio.timeout(self._settings.cluster.reconcile_s):
                    await self.fleet.wake.wait()
            except TimeoutError:
                continue

    async def _read_all(self) -> None:
        """What a comparison needs of PostgreSQL. One that stands still takes as long as its
        deadlines say, and what is known holds meanwhile."""
        began = time.monotonic()
        try:
            await self._read()
        except EyrieError as error:
            if not self._away:
                log.warning("orders cannot be read, those that are known hold: %s", error)
            self._away = True
        try:
            await self._look_up()
        except EyrieError as error:
            log.warning("cameras that are wanted cannot be looked up: %s", error)
        if time.monotonic() - began > READ_S:
            self.fleet.wake.set()

    async def _look_up(self) -> None:
        """Learn of cameras that are wanted and not known; those that are not registered are wanted
        no more."""
        fleet = self.fleet
        unknown = [camera for camera in fleet.urgent if camera not in fleet.owners]
        if not unknown:
            return
        await self._hosting.refresh()
        for camera in unknown:
            if camera not in fleet.owners and camera in fleet.urgent:
                log.warning("camera %s is wanted and not registered", camera)
                del fleet.urgent[camera]

    async def _read(self) -> None:
        """Orders, nodes and operations, at most every `reconcile_s` unless somebody called."""
        now = time.monotonic()
        if now - self._read_at < self._settings.cluster.reconcile_s:
            return
        self._read_at = now
        fleet, store = self.fleet, self._stores.cluster
        await self._note_troubles()
        fleet.obey(await store.orders())
        self._want_services()
        await self._operations.tick()
        for actor in list(fleet.actors.values()):
            if actor.phase == "ready":
                self._tasks.spawn(self._tell_pauses(actor.name))
        if fleet.decisions:
            written = list(fleet.decisions)
            await store.decided(written)
            for _ in written:
                fleet.decisions.popleft()
        if self._away:
            self._away = False
            log.warning("orders can be read again")

    async def _tell_pauses(self, name: str) -> None:
        actor = self.fleet.actors.get(name)
        try:
            if actor is not None:
                await self._hosting.tell_pauses(actor)
        except EyrieError as error:
            log.info("actor %s is told again what is paused: %s", name, error)

    async def _note_troubles(self) -> None:
        fleet = self.fleet
        unsaved = {camera for camera in fleet.unsaved if camera in fleet.trouble}
        if not unsaved:
            return
        records = []
        for camera in unsaved:
            trouble = fleet.trouble[camera]
            restarts = fleet.restarts.get(camera, 0)
            records.append(
                TroubleRecord(
                    camera,
                    trouble.failures,
                    restarts,
                    trouble.quarantined,
                    trouble.reason,
                    alone=trouble.alone,
                )
            )
        await self._stores.cluster.note_troubles(records)
        fleet.unsaved -= unsaved

    def _reconcile(self) -> None:
        fleet = self.fleet
        fleet.wanted.update({camera: None for camera in fleet.urgent if camera in fleet.owners})
        held = {camera: trouble.held_until for camera, trouble in fleet.trouble.items()}
        limits = self._limits()
        plan = compare(fleet.wanted_cameras(), fleet.views(), held, time.monotonic(), limits)
        if plan.refused and plan.refused != fleet.refused:
            log.error(
                "%d cameras find no process: %d is all that PostgreSQL has connections for",
                len(plan.refused),
                limits.max_actors,
            )
        fleet.refused, fleet.moving = plan.refused, plan.moving
        for action in plan.actions:
            match action:
                case StartActor():
                    self._hosting.begin(action)
                case GiveCameras(name, cameras):
                    actor = fleet.actors[name]
                    actor.cameras.update(dict.fromkeys(cameras, 0.0))
                    self._tasks.spawn(self._give(name, cameras))
                case MoveCameras(name, cameras):
                    fleet.actors[name].incoming.update(dict.fromkeys(cameras))
                    self._tasks.spawn(self._hosting.move(fleet.actors[name], cameras))
                case ReleaseCameras(name, cameras):
                    self._tasks.spawn(self._hosting.release(fleet.actors[name], cameras))
                case StopActor(name):
                    fleet.actors[name].phase = "stopping"
                    self._tasks.spawn(self._hosting.end(fleet.actors[name]))

    async def _give(self, name: str, cameras: Sequence[str]) -> None:
        actor = self.fleet.actors.get(name)
        if actor is not None:
            await self._hosting.give(actor, cameras)

    async def _beats_loop(self) -> None:
        """A process whose working loop has not renewed its heartbeat is replaced."""
        dead_after_s = self._settings.cluster.actor_dead_after_s
        beats, writable = Beats(), True
        while True:
            await asyncio.sleep(max(0.5, dead_after_s / 5))
            try:
                await self._stores.actors.beat(NOBODY)
                records = await self._stores.actors.all()
            except EyrieError as error:
                if writable:
                    log.warning("heartbeats cannot be renewed or read: %s", error)
                writable = False
                beats.forget()  # while PostgreSQL is away, or only reads, nobody can renew
                continue
            writable = True
            for name, silent_s in beats.silent_s(records, time.monotonic()).items():
                actor = self.fleet.actors.get(name)
                if actor is not None and actor.phase == "ready" and silent_s > dead_after_s:
                    self._lose_soon(actor, f"no heartbeat for {silent_s:.1f} s")

    def _lose_soon(self, actor: Actor, reason: str) -> None:
        """Write it off, and judge on: PostgreSQL, which is told of it, may stand still."""
        self._tasks.spawn(self._hosting.lose(actor, reason))

    async def _nodes_loop(self) -> None:
        """Which nodes there are. What is on one that does not answer is replaced: Ray takes half a
        minute to give up a frozen node."""
        silent: dict[str, int] = {}
        while True:
            await asyncio.sleep(NODES_S)
            try:
                self.fleet.nodes = await self._machine.nodes()
            except EyrieError as error:
                log.info("nodes are not told now: %s", error)
                continue
            silent = {
                node.id: silent.get(node.id, 0) + 1 for node in self.fleet.nodes if not node.alive
            }
            for actor in list(self.fleet.actors.values()):
                if silent.get(actor.node, 0) >= SILENT_LOOKS:
                    self._lose_soon(actor, "its node does not answer")
            for service in list(self._services.services.values()):
                if silent.get(service.node, 0) >= SILENT_LOOKS:
                    self._services.lose(service.name, "its node does not answer")
