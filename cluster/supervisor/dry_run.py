"""Dry runs: what a change would do, what it interrupts and for how long, without doing it. Pure,
over what the supervisor remembers.

Moves and starts are found by the same comparison that will decide them
(`cluster.planning.reconcile`), repeated until nothing is left (`cluster.supervisor.simulation`).
Durations are what starts and moves have taken here lately (`cluster.supervisor.fleet.Meter`).
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from actors.core.errors import BadInput, NotFound
from cluster.planning.placement import Placed, rebalance, usable
from cluster.planning.reconcile import (
    ActorView,
    ReconcileLimits,
    WantedCamera,
)
from cluster.supervisor.fleet import FleetMemory
from cluster.supervisor.models import PLAN_KINDS, SCALED, PlanReport, PlanStep
from cluster.supervisor.services import Services
from cluster.supervisor.simulation import simulate
from storage.ports.cluster import Density

MAX_STEPS = 200  # steps that are told; the others are counted
HUB_RESTART_S = (
    3.0  # seconds from a hub's end to its successor's first answer, beyond the time of a start
)


class Planner:
    """One dry run after another, of one moment."""

    def __init__(self, fleet: FleetMemory, services: Services, limits: ReconcileLimits) -> None:
        self._fleet = fleet
        self._services = services
        self._limits = limits

    def plan(self, kind: str, target: str, params: Mapping[str, Any]) -> PlanReport:
        if kind not in PLAN_KINDS:
            raise BadInput(f"{kind!r} cannot be planned", hint=f"One of {', '.join(PLAN_KINDS)}.")
        plans: dict[str, Callable[[str, Mapping[str, Any]], PlanReport]] = {
            "move": self._move,
            "drain": self._drain,
            "rebalance": self._rebalance,
            "restart": self._restart,
            "settle": self._settle,
            "scale": self._scale,
            "density": self._density,
            "quarantine": self._quarantine,
            "release": self._release,
            "pause": self._pause,
            "resume": self._pause,
        }
        make = plans.get(kind)
        if make is None:  # cordon and uncordon
            self._node(target)
            note = (
                "nothing new starts there; what runs there stays"
                if kind == "cordon"
                else "it may get something new again"
            )
            return _report(kind, target, [], notes=(note,))
        report = make(target, params)
        return msgspec.structs.replace(report, kind=kind, target=target)

    def _move(self, camera: str, params: Mapping[str, Any]) -> PlanReport:
        host = self._fleet.host_of(self._known(camera))
        if host is None:
            return _report("move", camera, [], problem=f"camera {camera} does not run")
        into, node = str(params.get("actor", "")), str(params.get("node", ""))
        if into:
            actor = self._fleet.actors.get(into)
            if actor is None:
                raise NotFound(f"no process {into} runs")
            if actor.density != self._fleet.density_of(camera) or (
                actor is not host and len(actor.cameras) >= actor.density
            ):
                return _report("move", camera, [], problem=f"{into} has no room for it")
        if node:
            self._node(node)
        change = {"into": into, "node": node, "avoid": "" if into or node else host.name}
        return self._simulated(
            lambda desired: (
                msgspec.structs.replace(desired, **change) if desired.camera == camera else desired
            )
        )

    def _drain(self, node: str, _params: Mapping[str, Any]) -> PlanReport:
        self._node(node)
        others = usable(self._fleet.nodes, self._fleet.cordoned | {node})
        if not others:
            return _report(
                "drain",
                node,
                [],
                problem="there is no other node that could take over what runs there",
            )
        report = self._simulated(
            lambda desired: desired,
            lambda view: msgspec.structs.replace(view, keeps=view.keeps and view.node != node),
        )
        services = [service for service in self._services.services.values() if service.node == node]
        steps = [
            self._service_step(f"start {service.name} elsewhere", service.name)
            for service in services
        ]
        return _with_services(report, steps)

    def _rebalance(self, _target: str, params: Mapping[str, Any]) -> PlanReport:
        hosted = [
            Placed(camera, actor.node, float("inf"))
            for actor in self._fleet.actors.values()
            for camera, since in actor.cameras.items()
            if since
        ]
        onto = rebalance(
            usable(self._fleet.nodes, self._fleet.cordoned),
            hosted,
            most=int(params.get("moves", 100)),
            residence_s=0.0,
        )
        if not onto:
            return _report(
                "rebalance",
                "",
                [],
                notes=("nothing improves: the nodes have as many cameras per core as they can",),
            )
        return self._simulated(
            lambda desired: msgspec.structs.replace(
                desired, node=onto.get(desired.camera, desired.node)
            )
        )

    def _restart(self, target: str, _params: Mapping[str, Any]) -> PlanReport:
        if target in self._services.services:
            return _with_services(
                _report("restart", target, []),
                [self._service_step(f"stop {target} in order, start it again", target)],
            )
        if target not in self._fleet.actors:
            raise NotFound(f"no process {target} runs")
        return self._simulated(
            lambda desired: desired,
            lambda view: msgspec.structs.replace(view, keeps=view.keeps and view.name != target),
        )

    def _settle(self, target: str, _params: Mapping[str, Any]) -> PlanReport:
        if target not in (*SCALED, "density"):
            raise NotFound(f"there is no shape {target!r}", hint=f"{', '.join(SCALED)} or density")
        return self._simulated(lambda desired: desired)

    def _scale(self, target: str, params: Mapping[str, Any]) -> PlanReport:
        if target not in SCALED:
            raise NotFound(f"{target!r} cannot be scaled", hint=f"one of {', '.join(SCALED)}")
        count = params.get("count")
        if not isinstance(count, int) or not 0 <= count <= 1024:
            raise BadInput("count must be a number from 0 to 1024")
        kind = SCALED[target]
        there = {
            service.index for service in self._services.services.values() if service.kind == kind
        }
        steps = [
            PlanStep(f"start {kind}-{index}", f"{kind}-{index}", self._fleet.meter.start_s)
            for index in range(count)
            if index not in there
        ]
        drain_s = self._fleet.settings.hub.drain_s if kind == "hub" else 0.0
        steps += [
            PlanStep(f"drain and stop {kind}-{index}", f"{kind}-{index}", drain_s)
            for index in sorted(there, reverse=True)
            if index >= count
        ]
        notes = {
            "hub": "dashboards of the stopped hubs reconnect to the others, spread over the drain; "
            "edges resend what was not acked",
            "worker": "what a stopping worker does not end in time is done again by the others",
        }
        report = _with_services(_report("scale", target, []), steps)
        problems = {"hub": "no hub would serve", "policy": "every decision would be a refusal"}
        problem = "" if count else problems.get(kind, "no job and no connector would run")
        return msgspec.structs.replace(
            report, notes=(notes[kind],) if kind in notes else (), problem=problem
        )

    def _density(self, target: str, params: Mapping[str, Any]) -> PlanReport:
        density = params.get("density")
        if not isinstance(density, int) or not 1 <= density <= 1024:
            raise BadInput("density must be a number from 1 to 1024")
        before = self._fleet.shape.density
        sites = set(self._fleet.sites.values())
        if target not in ("cluster", *sites):
            raise NotFound(
                f"no site {target} has cameras", hint="a site, or cluster for the default"
            )
        after = (
            msgspec.structs.replace(before, default=density)
            if target == "cluster"
            else Density(before.default, {**before.sites, target: density}, before.adaptive)
        )

        def change(desired: WantedCamera) -> WantedCamera:
            site = self._fleet.sites.get(desired.camera, "")
            return (
                msgspec.structs.replace(desired, density=after.of(site))
                if desired.density == before.of(site)
                else desired
            )

        return self._simulated(change)

    def _quarantine(self, camera: str, _params: Mapping[str, Any]) -> PlanReport:
        hosted = self._fleet.host_of(self._known(camera)) is not None
        steps = (
            [
                PlanStep(
                    "commit and give it up; it stays away until it is released",
                    camera,
                    self._fleet.meter.move_s,
                    (camera,),
                )
            ]
            if hosted
            else []
        )
        return _report(
            "quarantine",
            camera,
            steps,
            cameras=int(hosted),
            notes=("its edges keep what they see until it is released",),
        )

    def _release(self, camera: str, _params: Mapping[str, Any]) -> PlanReport:
        self._known(camera)
        return _report(
            "release", camera, [PlanStep("start it again", camera, self._fleet.meter.start_s)]
        )

    def _pause(self, target: str, _params: Mapping[str, Any]) -> PlanReport:
        kind, _, id = target.partition(":")
        if kind == "site":
            cameras = [camera for camera, site in self._fleet.sites.items() if site == id]
            if not cameras:
                raise NotFound(f"no site {id} has cameras")
        elif kind == "camera":
            cameras = [self._known(id)]
        else:
            raise BadInput(f"{target!r} is no target", hint="camera:<id> or site:<id>")
        steps = [
            PlanStep(
                "tell its edge how far it may send",
                camera,
                self._fleet.settings.cluster.reconcile_s,
            )
            for camera in sorted(cameras)
        ]
        note = (
            "while paused edges keep what they see, as far as their spool reaches; dashboards "
            "see stale, with the reason paused"
        )
        return _report(
            "pause",
            target,
            steps,
            cameras=len(cameras),
            duration_s=self._fleet.settings.cluster.reconcile_s,
            notes=(note,),
        )

    def _known(self, camera: str) -> str:
        if camera not in self._fleet.owners:
            raise NotFound(f"camera {camera} is not registered")
        return camera

    def _node(self, node: str) -> None:
        if all(known.id != node for known in self._fleet.nodes):
            raise NotFound(f"no node {node} is known")

    def _service_step(self, what: str, name: str) -> PlanStep:
        seconds = (
            self._fleet.meter.start_s
            + HUB_RESTART_S
            + (self._fleet.settings.hub.drain_s if name.startswith("hub-") else 0.0)
        )
        return PlanStep(what, name, seconds)

    def _simulated(
        self,
        desired: Callable[[WantedCamera], WantedCamera],
        view: Callable[[ActorView], ActorView] = lambda view: view,
    ) -> PlanReport:
        wanted = [desired(made) for made in self._fleet.wanted_cameras()]
        views = {made.name: view(made) for made in self._fleet.views() if made.phase != "stopping"}
        steps, duration_s, problem = simulate(
            wanted, views, self._limits, self._fleet.meter.start_s, self._fleet.meter.move_s
        )
        moved = {camera for step in steps for camera in step.interrupts}
        return _report(
            "",
            "",
            steps,
            len(moved),
            self._fleet.meter.move_s if moved else 0.0,
            duration_s,
            problem,
        )


def _with_services(report: PlanReport, steps: list[PlanStep]) -> PlanReport:
    return msgspec.structs.replace(
        report,
        steps=(*report.steps, *steps)[:MAX_STEPS],
        total=report.total + len(steps),
        duration_s=round(report.duration_s + sum(step.seconds for step in steps), 3),
    )


def _report(
    kind: str,
    target: str,
    steps: list[PlanStep],
    cameras: int = 0,
    interruption_s: float = 0.0,
    duration_s: float = 0.0,
    problem: str = "",
    notes: tuple[str, ...] = (),
) -> PlanReport:
    return PlanReport(
        kind,
        target,
        tuple(steps[:MAX_STEPS]),
        len(steps),
        cameras,
        round(interruption_s, 3),
        round(duration_s, 3),
        problem,
        notes,
    )
