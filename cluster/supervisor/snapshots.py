"""The supervisor's memory as people and the API see it (`cluster.supervisor.models`): values out of
values."""

import time
from typing import Any, cast

from cluster.supervisor.fleet import Actor, FleetMemory
from cluster.supervisor.models import (
    ActorState,
    CameraState,
    ClusterSnapshot,
    NodeState,
    ServiceKind,
    ServiceState,
)
from cluster.supervisor.services import Services


def status(fleet: FleetMemory, services: Services) -> dict[str, Any]:
    """What runs, short: `eyrie status` and the driver."""
    now = time.monotonic()
    return {
        "services": services.states,
        "actors": [
            {
                "name": a.name,
                "phase": a.phase,
                "cameras": {c: round(now - s, 1) if s else None for c, s in a.cameras.items()},
            }
            for a in fleet.actors.values()
        ],
        "wanted": len(fleet.wanted),
        "held": {
            camera: {
                "failures": trouble.failures,
                "reason": trouble.reason,
                "quarantined": trouble.quarantined,
            }
            for camera, trouble in fleet.trouble.items()
            if trouble.reason
        },
        "refused": fleet.refused,
    }


def snapshot(fleet: FleetMemory, services: Services) -> ClusterSnapshot:
    now = time.monotonic()
    told = tuple(
        ServiceState(
            s.name,
            cast(ServiceKind, s.kind),
            s.index,
            s.state,
            s.node,
            s.pid,
            s.last_error,
            max(0, s.restarts),
            s.reason,
        )
        for s in sorted(services.services.values(), key=lambda s: (s.kind, s.index))
    )
    actors = tuple(
        _actor(actor, now) for actor in sorted(fleet.actors.values(), key=lambda actor: actor.name)
    )
    return ClusterSnapshot(
        _nodes(fleet, told),
        actors,
        told,
        _cameras(fleet, now),
        fleet.shape,
        fleet.version,
        tuple(fleet.refused),
    )


def _nodes(fleet: FleetMemory, services: tuple[ServiceState, ...]) -> tuple[NodeState, ...]:
    cordons = {cordon.node: cordon.reason for cordon in fleet.orders.cordons}
    told = []
    for node in sorted(fleet.nodes, key=lambda node: node.id):
        here = [actor for actor in fleet.actors.values() if actor.node == node.id]
        told.append(
            NodeState(
                node.id,
                node.address,
                node.cores,
                node.memory_bytes,
                node.slots,
                node.alive,
                node.draining,
                node.head,
                node.id in cordons,
                cordons.get(node.id, ""),
                len(here),
                sum(len(actor.cameras) for actor in here),
                tuple(service.name for service in services if service.node == node.id),
            )
        )
    return tuple(told)


def _actor(actor: Actor, now: float) -> ActorState:
    figures = actor.figures
    return ActorState(
        actor.name,
        actor.node,
        actor.pid,
        actor.phase,
        tuple(sorted(actor.cameras)),
        actor.density,
        actor.reason,
        now - actor.started,
        float(figures.get("loop_lag_s", 0.0)),
        float(figures.get("commit_s", 0.0)),
        float(figures.get("cpu", 0.0)),
    )


def _cameras(fleet: FleetMemory, now: float) -> tuple[CameraState, ...]:
    hosts = {
        camera: actor
        for actor in fleet.actors.values()
        if actor.phase != "stopping"
        for camera in actor.cameras
    }
    coming = {camera for actor in fleet.actors.values() for camera in actor.incoming}
    known = {
        *fleet.wanted,
        *fleet.urgent,
        *hosts,
        *fleet.kept_away,
        *fleet.idle,
        *(o.id for o in fleet.orders.orders if o.kind == "camera"),
    }
    return tuple(
        _camera(fleet, camera, hosts.get(camera), camera in coming, now)
        for camera in sorted(known & fleet.owners.keys())
    )


def _camera(
    fleet: FleetMemory, camera: str, host: Actor | None, moving: bool, now: float
) -> CameraState:
    figures: dict[str, Any] = {} if host is None else host.figures.get("hosted", {}).get(camera, {})
    trouble, order, away = (
        fleet.trouble.get(camera),
        fleet.order_of(camera),
        fleet.kept_away.get(camera),
    )
    held_s = 0.0 if trouble is None else max(0.0, trouble.held_until - now)
    quarantined = away is not None or (trouble is not None and trouble.quarantined)
    hosted = host is not None and bool(host.cameras.get(camera))
    if hosted:
        phase = "moving" if moving else "hosted"
    elif away is not None or (quarantined and held_s):
        phase = "quarantined"
    elif camera in fleet.idle:
        phase = "idle"
    else:
        phase = (
            "held"
            if held_s
            else "placing"
            if camera in fleet.wanted or camera in fleet.urgent
            else "idle"
        )
    return CameraState(
        camera,
        fleet.sites.get(camera, ""),
        fleet.owners.get(camera) or "",
        "" if host is None else host.node,
        phase,
        generation=int(figures.get("generation", 0)) or None,
        lag_s=float(figures.get("lag_s", 0.0)),
        mailbox=int(figures.get("waiting", 0)),
        cpu=float(figures.get("cpu", 0.0)),
        restarts=fleet.restarts.get(camera, 0),
        failures=0 if trouble is None else trouble.failures,
        last_error=away.reason if away is not None else "" if trouble is None else trouble.reason,
        held_s=held_s,
        quarantined=quarantined,
        by="" if away is None else away.who,
        paused=fleet.is_paused(camera),
        alone=camera in fleet.split
        or fleet.ends_processes(camera)
        or (order is not None and order.alone),
        pinned="" if order is None else order.node,
        reason="" if host is None else host.reason,
    )
