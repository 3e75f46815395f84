"""What the supervisor remembers: processes, owners, orders, troubles. All of it can be lost; the
rooms beside it act on it."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from actors.core.settings import Settings
from cluster.planning.placement import NodeLoad, NodeView, usable
from cluster.planning.reconcile import ActorView, Trouble, WantedCamera
from cluster.supervisor.ports import CameraProcess
from storage.ports.cluster import (
    ClusterDecision,
    Density,
    Order,
    Orders,
    Scale,
    TroubleRecord,
    WantedShape,
)

MAX_DECISIONS = 1_000  # that wait to be written
SAMPLES = 1_000  # moves whose interruption is remembered
SMOOTHING = 0.2  # weight of the newest measurement
# seconds until a process is ready, before any was measured (design section 10: 0.43 CPU-s, some at
# once)
DEFAULT_START_S = 1.5
DEFAULT_MOVE_S = 0.15  # seconds a camera's stream rests while it moves, before any was measured


@dataclass(slots=True, eq=False)
class Actor:
    """An actor process. `cameras`: camera → since when (monotonic) it is hosted; 0 until it is.
    `incoming` still live elsewhere."""

    name: str
    process: CameraProcess
    phase: str
    cameras: dict[str, float]
    density: int = 1
    incoming: dict[str, None] = field(default_factory=dict)
    node: str = ""
    pid: int = 0
    reason: str = ""
    # where it takes links (`actors.links.address`)
    link: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    paused: frozenset[str] = frozenset()
    figures: dict[str, Any] = field(default_factory=dict)  # of the last survey


@dataclass(slots=True)
class Errands:
    """What running operations add to the orders. Built anew from the store, so a restart of the
    supervisor loses nothing that matters."""

    leaving: set[str] = field(default_factory=set)  # nodes that are drained
    replaced: set[str] = field(default_factory=set)  # processes that are replaced
    avoid: dict[str, str] = field(default_factory=dict)  # camera → a process it leaves
    into: dict[str, str] = field(default_factory=dict)  # camera → a process it goes to
    onto: dict[str, str] = field(default_factory=dict)  # camera → a node it goes to


class Meter:
    """How long starts and moves take here."""

    def __init__(self) -> None:
        self.start_s = DEFAULT_START_S
        self.move_s = DEFAULT_MOVE_S
        self.moves: deque[tuple[float, str, float]] = deque(
            maxlen=SAMPLES
        )  # when (monotonic), camera, seconds

    def started(self, seconds: float) -> None:
        """A process was ready after so long."""
        self.start_s += SMOOTHING * (seconds - self.start_s)

    def moved(self, camera: str, seconds: float, now: float) -> None:
        """A camera's stream rested for so long."""
        self.move_s += SMOOTHING * (seconds - self.move_s)
        self.moves.append((now, camera, seconds))

    def since(self, moment: float, cameras: Iterable[str] | None = None) -> list[float]:
        """The interruptions since `moment`, of some cameras or of all, shortest first."""
        wanted = None if cameras is None else set(cameras)
        return sorted(
            seconds
            for at, camera, seconds in self.moves
            if at >= moment and (wanted is None or camera in wanted)
        )


class FleetMemory:
    """The memory of one supervisor."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.actors: dict[str, Actor] = {}
        self.wanted: dict[str, None] = {}
        self.urgent: dict[str, None] = {}
        self.owners: dict[str, str | None] = {}
        self.sites: dict[str, str] = {}
        self.trouble: dict[str, Trouble] = {}
        self.restarts: dict[str, int] = {}
        self.idle: dict[str, float] = {}  # passivated cameras → since when (monotonic)
        self.split: dict[
            str, float
        ] = {}  # cameras that got a process of their own for their cost → since when (monotonic)
        self.nodes: list[NodeView] = []
        self.errands = Errands()
        self.meter = Meter()
        self.move_trouble = Trouble()  # of processes that were to take cameras and did not start
        self.died: dict[
            str, frozenset[str]
        ] = {}  # processes that were written off → their cameras, the latest last
        self.refused: list[str] = []
        self.moving = 0
        self.wake = asyncio.Event()
        self.changed = asyncio.Event()
        self.decisions: deque[ClusterDecision] = deque(maxlen=MAX_DECISIONS)
        self.unsaved: set[str] = set()  # cameras whose trouble is not written yet
        self.orders = Orders(None, [], [], [])
        self._settings_shape = shape_of(settings)
        self._camera_orders: dict[str, Order] = {}
        self._paused_sites: set[str] = set()
        self.kept_away: dict[str, TroubleRecord] = {}  # quarantined by a person

    def links(self, names: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Process → where it takes links, of those of `names` that have said so."""
        known = [self.actors[name] for name in names if name in self.actors]
        return {actor.name: actor.link for actor in known if actor.link}

    # orders

    def obey(self, orders: Orders) -> bool:
        """Take what was read; whether anything is new."""
        if orders == self.orders:
            return False
        self.orders = orders
        self._camera_orders = {order.id: order for order in orders.orders if order.kind == "camera"}
        self._paused_sites = {
            order.id for order in orders.orders if order.kind == "site" and order.paused
        }
        self.kept_away = {
            trouble.camera: trouble
            for trouble in orders.troubles
            if trouble.quarantined and trouble.who
        }
        for trouble in orders.troubles:
            self.restarts[trouble.camera] = max(
                self.restarts.get(trouble.camera, 0), trouble.restarts
            )
            known = self.trouble.get(trouble.camera)
            released = not (trouble.quarantined or trouble.alone or trouble.failures)
            if (
                known is not None
                and (known.quarantined or known.alone)
                and released
                and trouble.camera not in self.unsaved
            ):
                del self.trouble[trouble.camera]
        return True

    @property
    def shape(self) -> WantedShape:
        """The wanted shape."""
        return self._settings_shape if self.orders.wanted is None else self.orders.wanted.wanted

    @property
    def version(self) -> int:
        """Its version; 0: the settings'."""
        return 0 if self.orders.wanted is None else self.orders.wanted.version

    @property
    def cordoned(self) -> set[str]:
        """Nodes that get nothing new."""
        return {cordon.node for cordon in self.orders.cordons} | self.errands.leaving

    @property
    def left_nodes(self) -> set[str]:
        """Nodes that everything is to leave: drained by an operation or by Ray. Empty where there
        is no other node to go to."""
        left = self.errands.leaving | {node.id for node in self.nodes if node.draining}
        return left if left and usable(self.nodes, self.cordoned | left) else set()

    def order_of(self, camera: str) -> Order | None:
        """What was ordered for a camera."""
        return self._camera_orders.get(camera)

    def is_paused(self, camera: str) -> bool:
        """It, or its site, takes nothing in."""
        order = self._camera_orders.get(camera)
        return (order is not None and order.paused) or self.sites.get(
            camera, ""
        ) in self._paused_sites

    def ends_processes(self, camera: str) -> bool:
        """It ended its process too often: it has one of its own until it is released."""
        trouble = self.trouble.get(camera)
        return trouble is not None and trouble.alone

    def density_of(self, camera: str) -> int:
        """Of its process."""
        order = self._camera_orders.get(camera)
        if (
            (order is not None and order.alone)
            or camera in self.split
            or self.ends_processes(camera)
        ):
            return 1
        return self.shape.density.of(self.sites.get(camera, ""))

    # what should be, what is

    def wanted_cameras(self) -> list[WantedCamera]:
        """What `cluster.planning.reconcile.compare` takes, the urgent first."""
        usable_nodes = {node.id for node in usable(self.nodes, self.cordoned)}
        errands = self.errands
        made = []
        known = (camera for camera in self.urgent if camera in self.owners)
        for camera in dict.fromkeys([*known, *self.wanted]):
            if camera in self.kept_away or camera in self.idle:
                continue
            order = self._camera_orders.get(camera)
            node = errands.onto.get(camera, "" if order is None else order.node)
            into = errands.into.get(camera, "")
            made.append(
                WantedCamera(
                    camera,
                    self.density_of(camera),
                    node if node in usable_nodes else "",
                    errands.avoid.get(camera, ""),
                    into,
                )
            )
        return made

    def views(self) -> list[ActorView]:
        """The processes."""
        leaving = self.left_nodes
        closed = self.cordoned
        return [
            ActorView(
                a.name,
                a.phase,
                tuple(a.cameras),
                a.density,
                tuple(a.incoming),
                a.node,
                keeps=a.node not in leaving and a.name not in self.errands.replaced,
                takes=a.node not in closed,
            )
            for a in self.actors.values()
        ]

    def placed(self) -> dict[str, str]:
        """Camera → the process that hosts it."""
        return {
            camera: a.name
            for a in self.actors.values()
            if a.phase == "ready"
            for camera, since in a.cameras.items()
            if since
        }

    def host_of(self, camera: str) -> Actor | None:
        """The process that has it, hosted or about to be."""
        return next(
            (a for a in self.actors.values() if camera in a.cameras and a.phase != "stopping"), None
        )

    def loads(self, site: str = "", services: dict[str, int] | None = None) -> dict[str, NodeLoad]:
        """What is where, for `cluster.planning.placement.choose`. `services`: node → hubs and
        policy replicas there."""
        cameras: dict[str, int] = {}
        processes: dict[str, int] = {}
        of_site: dict[str, int] = {}
        for actor in self.actors.values():
            here = [*actor.cameras, *actor.incoming]
            cameras[actor.node] = cameras.get(actor.node, 0) + max(len(here), 1)
            processes[actor.node] = processes.get(actor.node, 0) + 1
            if site:
                of_site[actor.node] = of_site.get(actor.node, 0) + sum(
                    self.sites.get(camera) == site for camera in here
                )
        known = services or {}
        return {
            node: NodeLoad(
                cameras.get(node, 0),
                processes.get(node, 0),
                known.get(node, 0),
                of_site.get(node, 0),
            )
            for node in {*cameras, *known}
        }

    def decide(self, subject: str, what: str, why: str = "") -> None:
        """Remember a decision; it is written with the next ones."""
        self.decisions.append(ClusterDecision(subject, what, why))


def shape_of(settings: Settings) -> WantedShape:
    """The shape that the settings say."""
    hubs, policies = settings.hub.replicas, settings.policy.replicas
    return WantedShape(
        Scale(hubs, 1, max(hubs, 1)),
        Scale(policies, 1, max(policies, 1)),
        Density(settings.cluster.cameras_per_actor),
        Scale(settings.cluster.workers, 0, max(settings.cluster.workers, 1)),
    )
