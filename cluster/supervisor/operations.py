"""Long operations, carried out level-triggered: each says what must become so,
`cluster.planning.reconcile` makes it so, and it is over when it is.

What an operation adds is an errand (`cluster.supervisor.fleet.Errands`), built anew at every look
from the store and what runs. So a supervisor that was started again goes on where the last one was,
and a cancelled operation just stops adding.
"""

import logging
import time
from dataclasses import dataclass, field
from typing import Any

from actors.core.errors import EyrieError
from actors.core.log_format import counted
from cluster.planning.placement import Placed, rebalance, usable
from cluster.supervisor.fleet import Errands, FleetMemory
from cluster.supervisor.models import SCALED, SERVICE_PREFIXES
from cluster.supervisor.ports import Machine
from cluster.supervisor.services import Services
from storage.ports.cluster import ClusterStore, Operation

MAX_OPEN = 100  # operations under way at once; others wait
MOVE_S = 120.0  # seconds a move or a restart may take
NODE_LET_GO_S = 30.0  # seconds that Ray is given to take a drained node out of use
REBALANCE_MOVES = 100
RESIDENCE_S = 60.0  # a camera that came within so many seconds is not moved by a rebalance

log = logging.getLogger("eyrie.cluster.operations")


class Failed(Exception):
    """The operation cannot be carried out; why."""


@dataclass(slots=True, eq=False)
class _Work:
    """What is remembered of a running operation; it may be lost."""

    operation: Operation
    began: float
    looks: int = 0
    source: str = ""
    cameras: list[str] = field(default_factory=list)
    onto: dict[str, str] = field(default_factory=dict)
    done: int = 0
    total: int = 0
    detail: str = ""
    restarts: int = 0
    told: tuple[int, int, str] = (-1, -1, "")


class Operations:
    """`tick` looks at what is open."""

    def __init__(
        self, fleet: FleetMemory, services: Services, store: ClusterStore, machine: Machine
    ) -> None:
        self._fleet = fleet
        self._services = services
        self._store = store
        self._machine = machine
        self._works: dict[str, _Work] = {}

    async def tick(self) -> None:
        """Begin what waits, look how far the rest is, finish what is over. Raises what the store
        raises."""
        opened = {
            operation.id: operation
            for operation in await self._store.open_operations(limit=MAX_OPEN)
        }
        for id in self._works.keys() - opened.keys():
            log.info("operation %s is no longer open", id)
            del self._works[id]
        for operation in opened.values():
            if operation.id not in self._works:
                await self._begin(operation)
        errands = Errands()
        for work in list(self._works.values()):
            await self._advance(work, errands)
        if errands != self._fleet.errands:
            self._fleet.errands = errands
            self._fleet.wake.set()

    async def _begin(self, operation: Operation) -> None:
        work = _Work(operation, time.monotonic())
        try:
            await self._prepare(work)
        except Failed as reason:
            await self._finish(work, "failed", str(reason))
            return
        if operation.state == "waiting" and not await self._store.begin(
            operation.id, total=work.total
        ):
            return  # cancelled just now
        self._works[operation.id] = work
        self._fleet.decide(
            "cluster",
            f"{operation.kind} {operation.target} begins",
            f"asked for by {operation.who}",
        )

    async def _prepare(self, work: _Work) -> None:
        fleet, operation = self._fleet, work.operation
        match operation.kind:
            case "move":
                self._prepare_move(work)
            case "drain":
                if all(node.id != operation.target for node in fleet.nodes):
                    raise Failed(f"no node {operation.target} is known")
                if not usable(fleet.nodes, fleet.cordoned | {operation.target}):
                    raise Failed("there is no other node that could take over what runs there")
                reason = f"drained ({operation.id})"
                await self._store.cordon(operation.target, reason=reason, who=operation.who)
            case "restart" if operation.target.startswith(SERVICE_PREFIXES):
                service = self._services.services.get(operation.target)
                if service is None:
                    raise Failed(f"{operation.target} does not run")
                work.total, work.restarts = 1, service.restarts
            case "restart":
                actor = fleet.actors.get(operation.target)
                if actor is None and operation.state == "waiting":
                    raise Failed(f"no process {operation.target} runs")
                work.cameras = [] if actor is None else list(actor.cameras)
                work.total = len(work.cameras)
            case "rebalance" | "settle":
                pass
            case _:
                raise Failed(f"an operation of kind {operation.kind!r} is not known")

    def _prepare_move(self, work: _Work) -> None:
        fleet, camera, params = self._fleet, work.operation.target, work.operation.params
        host = fleet.host_of(camera)
        if host is None:
            raise Failed(
                f"camera {camera} is not registered"
                if camera not in fleet.owners
                else f"camera {camera} does not run"
            )
        work.cameras, work.total, work.source = [camera], 1, host.name
        target = fleet.actors.get(str(params.get("actor", "")))
        if params.get("actor"):
            if target is None or target.phase != "ready":
                raise Failed(f"no process {params['actor']} is ready")
            if target.density != fleet.density_of(camera):
                raise Failed(
                    f"{target.name} is for {counted(target.density, 'camera')}, {camera} is to "
                    f"be in one for {fleet.density_of(camera)}"
                )
            if target is not host and len(target.cameras) + len(target.incoming) >= target.density:
                raise Failed(f"{target.name} has no room")
        if params.get("node") and params["node"] not in {
            node.id for node in usable(fleet.nodes, fleet.cordoned)
        }:
            raise Failed(f"no node {params['node']} can be used")

    async def _advance(self, work: _Work, errands: Errands) -> None:
        work.looks += 1
        try:
            over = await self._look(work, errands)
        except Failed as reason:
            await self._finish(work, "failed", str(reason))
            return
        if over:
            await self._finish(work, "done", work.detail)
            return
        told = (work.done, work.total, work.detail)
        if told != work.told:
            work.told = told
            figures = self._figures(work)
            if not await self._store.progress(
                work.operation.id,
                done=work.done,
                total=work.total,
                detail=work.detail,
                figures=figures,
            ):
                self._works.pop(work.operation.id, None)

    async def _look(self, work: _Work, errands: Errands) -> bool:
        """Add the errand; True when there is nothing left to do."""
        operation = work.operation
        late = time.monotonic() - work.began > MOVE_S
        match operation.kind:
            case "move":
                over = self._look_at_move(work, errands, operation.params)
                if late and not over:
                    raise Failed(f"it did not move within {MOVE_S:g} s; {work.detail}")
                return over
            case "drain":
                return await self._look_at_drain(work, errands)
            case "rebalance":
                return self._look_at_rebalance(work, errands)
            case "restart":
                over = self._look_at_restart(work, errands)
                if late and not over:
                    raise Failed(f"its successor is not ready within {MOVE_S:g} s; {work.detail}")
                return over
            case _:
                return self._look_at_shape(work)

    def _look_at_move(self, work: _Work, errands: Errands, params: dict[str, Any]) -> bool:
        camera = work.operation.target
        host = self._fleet.host_of(camera)
        lives = host is not None and host.phase == "ready" and bool(host.cameras.get(camera))
        actor, node = str(params.get("actor", "")), str(params.get("node", ""))
        if actor:
            errands.into[camera] = actor
        elif node:
            errands.onto[camera] = node
        else:
            errands.avoid[camera] = work.source
        there = host is not None and (
            host.name == actor if actor else host.node == node if node else host.name != work.source
        )
        if actor and actor not in self._fleet.actors:
            raise Failed(f"{actor} has ended")
        work.done = int(lives and there)
        work.detail = (
            f"in {host.name}"
            if host is not None and work.done
            else "waits for a process that is ready"
        )
        return bool(work.done)

    async def _look_at_drain(self, work: _Work, errands: Errands) -> bool:
        fleet, node = self._fleet, work.operation.target
        errands.leaving.add(node)
        if not usable(fleet.nodes, fleet.cordoned | {node}):
            raise Failed("there is no other node any more")
        left = sum(
            max(1, len(actor.cameras)) for actor in fleet.actors.values() if actor.node == node
        )
        services = [service for service in self._services.services.values() if service.node == node]
        work.total = max(work.total, left + len(services))
        work.done = work.total - left - len(services)
        work.detail = f"{counted(left, 'camera')} and {counted(len(services), 'service')} left"
        if left or services or work.looks < 2:
            return False
        work.detail = "nothing of ours is left there; it stays cordoned"
        if any(known.id == node and known.head for known in fleet.nodes):
            work.detail += ". It is Ray's head: the cluster ends with it"
            return True
        try:
            await self._machine.release_node(node, NODE_LET_GO_S)
        except EyrieError as error:
            work.detail += f". Ray was not told to let it go: {error}"
        return True

    def _look_at_rebalance(self, work: _Work, errands: Errands) -> bool:
        fleet = self._fleet
        now = time.monotonic()
        hosted = [
            Placed(camera, actor.node, now - since)
            for actor in fleet.actors.values()
            if actor.phase == "ready"
            for camera, since in actor.cameras.items()
            if since
        ]
        where = {placed.camera: placed.node for placed in hosted}
        known = {node.id for node in usable(fleet.nodes, fleet.cordoned)}
        left = {
            camera: node
            for camera, node in work.onto.items()
            if where.get(camera, node) != node and node in known
        }
        work.done += len(work.onto) - len(left)
        work.onto = left
        if not left:
            most = int(work.operation.params.get("moves", REBALANCE_MOVES)) - work.done
            work.onto = rebalance(
                usable(fleet.nodes, fleet.cordoned),
                hosted,
                most=max(0, most),
                residence_s=RESIDENCE_S,
            )
        work.total = work.done + len(work.onto)
        errands.onto |= work.onto
        work.detail = f"{counted(work.done, 'camera')} moved" + (
            "" if work.onto else "; nothing more improves"
        )
        return not work.onto

    def _look_at_restart(self, work: _Work, errands: Errands) -> bool:
        target = work.operation.target
        if target.startswith(SERVICE_PREFIXES):
            service = self._services.services.get(target)
            if service is None:
                raise Failed(f"{target} is wanted no more")
            if service.restarts > work.restarts and service.state == "ready":
                work.done, work.detail = 1, f"{target} is ready again"
                return True
            work.detail = f"{target} is {service.state}"
            if service.restarts == work.restarts:
                self._services.restart_soon(target)
            return False
        errands.replaced.add(target)
        placed = self._fleet.placed()
        work.done = sum(placed.get(camera, target) != target for camera in work.cameras)
        work.detail = f"{work.done} of {counted(work.total, 'camera')} in another process"
        return target not in self._fleet.actors and work.done == work.total

    def _look_at_shape(self, work: _Work) -> bool:
        fleet, target = self._fleet, work.operation.target
        if target == "density":
            left = (
                fleet.moving
            )  # cameras in trouble are placed by the new density whenever they are placed
        elif target in SCALED:
            kind, scale = SCALED[target], fleet.shape.scale(target)
            there = [
                service for service in self._services.services.values() if service.kind == kind
            ]
            ready = sum(
                service.state == "ready" and service.index < scale.count for service in there
            )
            left = (scale.count - ready) + sum(service.index >= scale.count for service in there)
        else:
            raise Failed(f"there is no shape {target!r} to settle")
        work.total = max(work.total, left)
        work.done = work.total - left
        work.detail = f"{left} steps are left" if left else "what runs is what is wanted"
        return not left and work.looks > 2  # the first looks may be older than the change

    def _figures(self, work: _Work) -> dict[str, float]:
        taken = self._fleet.meter.since(work.began, work.cameras or None)
        if not taken:
            return {}
        return {
            "interruptions": float(len(taken)),
            "interruption_p50_s": round(taken[len(taken) // 2], 4),
            "interruption_p99_s": round(taken[min(len(taken) - 1, int(0.99 * len(taken)))], 4),
        }

    async def _finish(self, work: _Work, state: Any, detail: str) -> None:
        self._works.pop(work.operation.id, None)
        figures = {**self._figures(work), "seconds": round(time.monotonic() - work.began, 3)}
        if state == "done":
            await self._store.progress(
                work.operation.id, done=work.total, total=work.total, detail=detail
            )
        try:
            await self._store.finish(work.operation.id, state, detail=detail, figures=figures)
        finally:
            why = f"{detail} (asked for by {work.operation.who})"
            self._fleet.decide(
                "cluster", f"{work.operation.kind} {work.operation.target} is {state}", why
            )
        log.log(
            logging.INFO if state == "done" else logging.WARNING,
            "operation %s: %s, %s",
            work.operation.id,
            state,
            detail,
        )
