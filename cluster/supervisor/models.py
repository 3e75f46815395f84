"""What the supervisor tells of the cluster: frozen values for the API, the command line and tests,
and the port that they are asked by.

Operations (`storage.ports.cluster.RequestedOperation`) that the supervisor carries out, by `kind`:

| kind | target | params | over when | |---|---|---|---| | ``move`` | a camera | ``actor`` (a
process) or ``node``, both optional | it is hosted elsewhere, or there | | ``drain`` | a node | |
nothing of ours is left on it; it stays cordoned | | ``rebalance`` | ``cluster`` | ``moves`` (at
most so many, 100) | nothing more improves | | ``restart`` | an actor process, ``hub-0`` or
``policy-0`` | | its successor is ready | | ``settle`` | ``hubs``, ``policies`` or ``density`` | |
what runs is what is wanted: how to follow a changed shape |

Everything else is an order in the store (`want`, `cordon`, `order`, `quarantine`, `release`),
obeyed after :meth:`SupervisorPort.wake`.
"""

from typing import Any, Literal, Protocol

import msgspec

from storage.ports.cluster import WantedShape

OPERATION_KINDS = ("move", "drain", "rebalance", "restart", "settle")
PLAN_KINDS = (
    *OPERATION_KINDS,
    "scale",
    "density",
    "quarantine",
    "release",
    "pause",
    "resume",
    "cordon",
    "uncordon",
)

ServiceKind = Literal["hub", "policy", "worker"]
# what can be scaled → the kind of its processes
SCALED: dict[str, str] = {"policies": "policy", "hubs": "hub", "workers": "worker"}
SERVICE_PREFIXES = tuple(f"{kind}-" for kind in SCALED.values())


class NodeState(msgspec.Struct, frozen=True):
    """A node as Ray sees it (`cluster.planning.placement.NodeView`), and what of ours runs there.
    Memory in bytes; `slots` 0: not counted there."""

    id: str
    address: str
    cores: float
    memory_bytes: int
    slots: int
    alive: bool
    draining: bool
    head: bool
    cordoned: bool
    reason: str
    actors: int
    cameras: int
    services: tuple[str, ...]


class ActorState(msgspec.Struct, frozen=True):
    """An actor process. `phase`: starting, ready, stopping. `cpu`: cores it uses, smoothed.
    `reason`: why here. Ages in seconds."""

    name: str
    node: str
    pid: int
    phase: str
    cameras: tuple[str, ...]
    density: int
    reason: str
    age_s: float
    loop_lag_s: float = 0.0
    commit_s: float = 0.0
    cpu: float = 0.0


class ServiceState(msgspec.Struct, frozen=True):
    """A hub, policy replica or worker (``hub-0``). `state`: starting, ready, draining.
    `last_error`: why the last one ended or did not start."""

    name: str
    kind: ServiceKind
    index: int
    state: str
    node: str = ""
    pid: int = 0
    last_error: str = ""
    restarts: int = 0
    reason: str = ""


class CameraState(msgspec.Struct, frozen=True):
    """A camera that is wanted, hosted or ordered about. `phase`: hosted, moving, placing, held,
    quarantined or idle (passivated).

    `lag_s`: age of the oldest item that waits. `mailbox`: observations that wait. `cpu`: share of a
    core that its steps take. Figures are those of the last survey, a few seconds old; 0 before the
    first. `generation`: None until it is activated for the first time.
    """

    camera: str
    site: str
    owner: str
    node: str
    phase: str
    generation: int | None = None
    lag_s: float = 0.0
    mailbox: int = 0
    cpu: float = 0.0
    restarts: int = 0
    failures: int = 0
    last_error: str = ""
    held_s: float = 0.0
    quarantined: bool = False
    by: str = ""
    paused: bool = False
    alone: bool = False
    pinned: str = ""
    reason: str = ""


class ClusterSnapshot(msgspec.Struct, frozen=True):
    """The cluster now. `version` 0: the shape is the settings'. `refused`: cameras that PostgreSQL
    has no connections for."""

    nodes: tuple[NodeState, ...]
    actors: tuple[ActorState, ...]
    services: tuple[ServiceState, ...]
    cameras: tuple[CameraState, ...]
    wanted: WantedShape
    version: int
    refused: tuple[str, ...] = ()


class PlanStep(msgspec.Struct, frozen=True):
    """One thing that would be done: `what` in words, to `subject`. `seconds` it takes; `interrupts`
    cameras for `interruption_s` each."""

    what: str
    subject: str
    seconds: float = 0.0
    interrupts: tuple[str, ...] = ()
    interruption_s: float = 0.0


class PlanReport(msgspec.Struct, frozen=True):
    """A dry run. `steps` are the first ones of `total`. `problem`: why it cannot be done, empty
    when it can. Durations are estimates."""

    kind: str
    target: str
    steps: tuple[PlanStep, ...]
    total: int
    cameras: int
    interruption_s: float
    duration_s: float
    problem: str = ""
    notes: tuple[str, ...] = ()


class SupervisorPort(Protocol):
    """What the API asks of the supervisor in its process. None of it waits or does I/O."""

    def wake(self) -> None:
        """Orders have changed: read them now."""

    def snapshot(self) -> ClusterSnapshot:
        """The cluster now, of memory."""

    def plan(self, kind: str, target: str, params: dict[str, Any]) -> PlanReport:
        """A dry run of one of `PLAN_KINDS`. Raises NotFound for an unknown target, BadInput for a
        kind or params that mean nothing.

        ``scale``: target of `SCALED`, params ``count``. ``density``: target
        ``cluster`` or a site, params ``density``. ``pause`` and ``resume``: target ``camera:<id>``
        or ``site:<id>``.
        """
