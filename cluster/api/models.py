"""What the cluster API reads and answers: structs out of which its OpenAPI document is
generated."""

from typing import Annotated, Any, Literal

import msgspec

from actors.core.identifiers import CameraId
from actors.core.times import Rfc3339, rfc3339
from cluster.supervisor.models import (
    ActorState,
    CameraState,
    ClusterSnapshot,
    NodeState,
    ServiceState,
)
from storage.ports.cluster import (
    ClusterDecision,
    Density,
    Operation,
    OperationState,
    Scale,
    WantedShape,
)

NodeId = Annotated[
    str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9_.-]{0,127}\Z", description="Ray's id of a node")
]
Target = Annotated[
    str, msgspec.Meta(min_length=1, max_length=200, pattern=r"\A[a-z0-9][a-zA-Z0-9_.:-]*\Z")
]
Reason = Annotated[str, msgspec.Meta(max_length=200, pattern=r"\A[^\x00-\x1f\x7f\ud800-\udfff]*\Z")]
OperationKind = Literal["move", "drain", "rebalance", "restart", "settle"]
PlanKind = Literal[
    "move",
    "drain",
    "rebalance",
    "restart",
    "settle",
    "scale",
    "density",
    "quarantine",
    "release",
    "pause",
    "resume",
    "cordon",
    "uncordon",
]
Level = Literal["debug", "info", "warning", "error"]
ForS = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of what is read: an unknown field is an error."""


class Why(Input, frozen=True):
    """Why, for whoever looks later."""

    reason: Reason = ""


class Placement(Input, frozen=True):
    """Where a camera shall be: `alone` in a process of its own, on `node`; neither: wherever there
    is room."""

    alone: bool = False
    node: Annotated[str, msgspec.Meta(pattern=r"\A([a-z0-9][a-z0-9_.-]{0,127})?\Z")] = ""
    reason: Reason = ""


class Params(Input, frozen=True, omit_defaults=True):
    """The particulars of an operation or a plan.

    `actor`, `node`: where to (move). `moves`: at most so many (rebalance). `count`: how many (plan
    of scale). `density`: cameras per process (plan of density).
    """

    actor: Target | None = None
    node: NodeId | None = None
    moves: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None
    count: Annotated[int, msgspec.Meta(ge=1, le=1024)] | None = None
    density: Annotated[int, msgspec.Meta(ge=1, le=1024)] | None = None

    def given(self) -> dict[str, Any]:
        """Those that are set."""
        return dict(msgspec.to_builtins(self))


class NewOperation(Input, frozen=True):
    """``move`` a camera, ``drain`` a node, ``rebalance`` the ``cluster``, ``restart`` a process.

    ``settle`` follows a changed shape, by target ``hubs``, ``policies`` or ``density``.
    """

    kind: OperationKind
    target: Target
    params: Params = Params()


class NewPlan(Input, frozen=True):
    """What to try dry: an operation, or an order. `target` of pause and resume is ``camera:<id>``
    or ``site:<id>``."""

    kind: PlanKind
    target: Target
    params: Params = Params()


class NewShape(Input, frozen=True):
    """What should run: hubs, policy replicas, workers, cameras per actor process. What is left out
    stays as it is."""

    hubs: Scale | None = None
    policies: Scale | None = None
    workers: Scale | None = None
    density: Density | None = None


class NewLevel(Input, frozen=True):
    """A log level, for so many seconds; then the settings' level is in force again."""

    level: Level
    for_s: ForS = 600.0


class NewProfile(Input, frozen=True):
    """Sample a process for so many seconds, so often a second."""

    for_s: Annotated[float, msgspec.Meta(ge=0.1, le=30)] = 5.0
    hz: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50


class Room(Input, frozen=True):
    """Room for so many cameras, asked of whoever can make the cluster grow (Ray's autoscaler). A
    floor: the next request replaces it."""

    cameras: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class DecisionShown(msgspec.Struct, frozen=True):
    """What was decided, and why."""

    number: int
    time: Rfc3339
    subject: str
    what: str
    why: str


class DecisionPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Decisions, newest first. `next` goes into `before`."""

    decisions: list[DecisionShown]
    next: int | None = None


class NodePage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Nodes by id. `next` goes into `after`, as in every list."""

    nodes: list[NodeState]
    next: str | None = None


class NodeShown(msgspec.Struct, frozen=True):
    """A node and what was decided about it last."""

    node: NodeState
    decisions: list[DecisionShown]


class ActorPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Actor processes by name."""

    actors: list[ActorState]
    next: str | None = None


class ActorShown(msgspec.Struct, frozen=True):
    """An actor process and what was decided about it last."""

    actor: ActorState
    decisions: list[DecisionShown]


class ServicePage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Hubs, policy replicas, or workers."""

    services: list[ServiceState]
    next: str | None = None


class ServiceShown(msgspec.Struct, frozen=True):
    """A hub, policy replica or worker and what was decided about it last."""

    service: ServiceState
    decisions: list[DecisionShown]


class CameraPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Cameras by id."""

    cameras: list[CameraState]
    next: str | None = None


class CameraShown(msgspec.Struct, frozen=True):
    """A camera and what was decided about it last."""

    camera: CameraState
    decisions: list[DecisionShown]


class OrderShown(msgspec.Struct, frozen=True):
    """What is ordered for a camera or site now."""

    kind: Literal["camera", "site"]
    id: str
    paused: bool
    alone: bool
    node: str
    reason: str
    who: str


class CordonShown(msgspec.Struct, frozen=True):
    """Whether a node gets anything new."""

    node: str
    cordoned: bool


class QuarantineShown(msgspec.Struct, frozen=True):
    """Whether a camera is kept from running."""

    camera: CameraId
    quarantined: bool


class ShapeShown(msgspec.Struct, frozen=True):
    """What should run. `version` 0: nobody changed what the settings say."""

    version: int
    hubs: Scale
    policies: Scale
    density: Density
    workers: Scale


class OperationShown(msgspec.Struct, frozen=True):
    """A long-running change: `done` of `total` steps; `figures` are measured
    (``interruption_p99_s``)."""

    id: str
    number: int
    kind: str
    target: str
    params: dict[str, Any]
    state: OperationState
    done: int
    total: int
    detail: str
    figures: dict[str, float]
    who: str
    started: Rfc3339
    updated: Rfc3339
    finished: Rfc3339 | None


class OperationPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Operations, newest first. `next` goes into `before`."""

    operations: list[OperationShown]
    next: int | None = None


class Overview(msgspec.Struct, frozen=True):
    """The cluster in a few numbers. `troubles`: cameras that are held or quarantined; `refused`:
    that find no process."""

    nodes: int
    nodes_away: int
    actors: int
    hubs: int
    hubs_ready: int
    policies: int
    policies_ready: int
    workers: int
    workers_ready: int
    cameras: int
    cameras_hosted: int
    troubles: int
    refused: int
    operations: int
    version: int


class ProcessLine(msgspec.Struct, frozen=True):
    """A process of ours."""

    name: str
    kind: Literal["actor", "hub", "policy", "worker", "supervisor"]
    node: str
    pid: int


class ProcessPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Processes by name."""

    processes: list[ProcessLine]
    next: str | None = None


class LevelShown(msgspec.Struct, frozen=True):
    """The log level of a process; `left_s`: seconds until `base` is in force again, None when it
    is."""

    process: str
    level: Level
    base: Level
    left_s: float | None


class ProfileShown(msgspec.Struct, frozen=True):
    """A profile: `stacks` are collapsed stacks, one a line with its count, as flame graph tools
    read them. `cut`: there were more."""

    process: str
    for_s: float
    samples: int
    threads: int
    cut: bool
    stacks: str


def decisions(found: list[ClusterDecision]) -> list[DecisionShown]:
    """As they are shown."""
    return [DecisionShown(d.number, rfc3339(d.time_us), d.subject, d.what, d.why) for d in found]


def operation(found: Operation) -> OperationShown:
    """As it is shown."""
    return OperationShown(
        found.id,
        found.number,
        found.kind,
        found.target,
        found.params,
        found.state,
        found.done,
        found.total,
        found.detail,
        found.figures,
        found.who,
        rfc3339(found.started_us),
        rfc3339(found.updated_us),
        None if found.finished_us is None else rfc3339(found.finished_us),
    )


def shape(snapshot: ClusterSnapshot) -> ShapeShown:
    """The wanted shape of a snapshot."""
    return shape_shown(snapshot.version, snapshot.wanted)


def shape_shown(version: int, wanted: WantedShape) -> ShapeShown:
    """A wanted shape."""
    return ShapeShown(version, wanted.hubs, wanted.policies, wanted.density, wanted.workers)
