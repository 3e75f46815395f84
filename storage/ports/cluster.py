"""What the cluster asks of storage: the wanted shape, people's orders, operations, troubles and
decisions. All of its state, so that the supervisor may be lost, or run twice.

The rules of `storage.ports.cameras` hold here too. Every write is a compare-and-swap or idempotent.
Where a person changes something, `audit` writes the record in the transaction of the change
(`storage.ports.policy.Audit`): no record, no change. `who` is a token's subject. Times are the
database's, microseconds since 1970.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Protocol

import msgspec

from storage.ports.policy import Audit

MAX_TEXT = 500  # characters of a reason or detail; what is longer is cut
KEY_LIFE_S = 86_400.0  # seconds that an idempotency key is remembered

OperationState = Literal["waiting", "running", "done", "failed", "cancelled"]
OrderKind = Literal["camera", "site"]

Replicas = Annotated[int, msgspec.Meta(ge=0, le=1024)]
PerActor = Annotated[int, msgspec.Meta(ge=1, le=1024)]


class Scale(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many of a kind should run. With `auto` the supervisor chooses `count` between `min` and
    `max` by load."""

    count: Replicas = 1
    min: Replicas = 1
    max: Replicas = 1
    auto: bool = False


class Density(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Cameras per actor process: `default`, and by site. `adaptive`: who costs too much gets a
    process of its own, the quiet are packed."""

    default: PerActor = 1
    sites: dict[str, PerActor] = {}
    adaptive: bool = False

    def of(self, site: str) -> int:
        """Of one site."""
        return self.sites.get(site, self.default)


class WantedShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The wanted shape."""

    hubs: Scale = Scale()
    policies: Scale = Scale()
    density: Density = Density()
    workers: Scale = Scale(0, 0, 1)

    def scale(self, target: str) -> Scale:
        """Of ``hubs``, ``policies`` or ``workers``."""
        return {"hubs": self.hubs, "policies": self.policies, "workers": self.workers}[target]


class WantedRecord(msgspec.Struct, frozen=True):
    """The stored shape. `version` counts its changes: 1, 2, 3, …"""

    version: int
    wanted: WantedShape
    who: str
    changed_us: int


class Cordon(msgspec.Struct, frozen=True):
    """A node (Ray's id, hex) that gets nothing new. `since_us` is set when read."""

    node: str
    reason: str = ""
    who: str = ""
    since_us: int = 0


class Order(msgspec.Struct, frozen=True):
    """What was ordered for a camera or a site: `paused` takes nothing in, `alone` (cameras) a
    process of its own, `node` (cameras) where to be. `changed_us` is set when read."""

    kind: OrderKind
    id: str
    paused: bool = False
    alone: bool = False
    node: str = ""
    reason: str = ""
    who: str = ""
    changed_us: int = 0

    @property
    def empty(self) -> bool:
        """It orders nothing."""
        return not (self.paused or self.alone or self.node)


class TroubleRecord(msgspec.Struct, frozen=True):
    """A camera in trouble. `restarts` grows for as long as the row lives.

    `who` set: a person quarantined it, and only a person releases it. `alone`: it ended its process
    too often and has one of its own, until a person releases it. `age_s`: seconds since it became
    so, set when read.
    """

    camera: str
    failures: int = 0
    restarts: int = 0
    quarantined: bool = False
    reason: str = ""
    who: str = ""
    age_s: float = 0.0
    alone: bool = False


class Orders(msgspec.Struct, frozen=True):
    """All that the supervisor obeys, as of one moment. `wanted` None: nobody changed the settings'
    shape."""

    wanted: WantedRecord | None
    cordons: list[Cordon]
    orders: list[Order]
    troubles: list[TroubleRecord]


class RequestedOperation(msgspec.Struct, frozen=True):
    """What somebody asks for. `kind` is one word (``move``, ``drain``, …); `key` may be empty;
    `request` is a hash of the whole request."""

    id: str
    kind: str
    target: str
    params: dict[str, Any]
    who: str
    token: str = ""
    key: str = ""
    request: bytes = b""


class Operation(msgspec.Struct, frozen=True):
    """A long-running change. `number` grows with every one; `done` of `total` steps.

    `figures` are measurements (``interruption_p99_s``).
    """

    number: int
    id: str
    kind: str
    target: str
    params: dict[str, Any]
    state: OperationState
    done: int
    total: int
    detail: str
    figures: dict[str, float]
    who: str
    token: str
    started_us: int
    updated_us: int
    finished_us: int | None

    @property
    def over(self) -> bool:
        """It will not change any more."""
        return self.state in ("done", "failed", "cancelled")


class ClusterDecision(msgspec.Struct, frozen=True):
    """What was decided about `subject` (``camera:cam-1``, ``actor:…``, ``hub:0``, ``policy:0``,
    ``node:…``, ``cluster``), and why.

    `number` and `time_us` are set when read.
    """

    subject: str
    what: str
    why: str = ""
    number: int = 0
    time_us: int = 0


class ClusterStore(Protocol):
    """The state of the cluster."""

    async def orders(self) -> Orders:
        """All that is ordered, of one moment."""

    async def want(
        self, wanted: WantedShape, *, expected: int, who: str, audit: Audit | None = None
    ) -> int | None:
        """Change the shape if its version is `expected` (0: there is none yet); the new version,
        None when somebody was faster."""

    async def cordon(self, node: str, *, reason: str, who: str, audit: Audit | None = None) -> bool:
        """Give the node nothing new; False when it was cordoned already (nothing is changed
        then)."""

    async def uncordon(self, node: str, *, audit: Audit | None = None) -> bool:
        """Use the node again; False when it was not cordoned."""

    async def order(
        self,
        kind: OrderKind,
        id: str,
        *,
        paused: bool | None = None,
        alone: bool | None = None,
        node: str | None = None,
        reason: str = "",
        who: str,
        audit: Audit | None = None,
    ) -> Order:
        """Change what is not None, keep the rest; the order as it is now. Repeating it is
        harmless."""

    async def quarantine(
        self, camera: str, *, reason: str, who: str, audit: Audit | None = None
    ) -> bool:
        """Keep a camera from running until :meth:`release`; False when no camera has this name."""

    async def release(self, camera: str, *, audit: Audit | None = None) -> bool:
        """End any quarantine, let it share a process again and forget its failures; False when
        there was no trouble."""

    async def note_troubles(self, troubles: Sequence[TroubleRecord]) -> None:
        """What the supervisor saw, in place of what is stored; a quarantine by a person stays.
        `who` and `age_s` are not read."""

    async def ask(
        self, operation: RequestedOperation, *, audit: Audit | None = None
    ) -> tuple[Operation, bool]:
        """Store a waiting operation, and True. The same `who` and `key` within `KEY_LIFE_S`: the
        one that is there, and False.

        Raises Conflict when that one was asked for with another `request`. One transaction with the
        record.
        """

    async def remembers(self, who: str, key: str) -> bool:
        """Whether :meth:`ask` would answer with an operation that is there already, or with
        Conflict."""

    async def operation(self, id: str) -> Operation | None:
        """One."""

    async def operations(
        self, *, before: int = 2**62, limit: int = 100, state: str = ""
    ) -> list[Operation]:
        """Those with a lower number than `before`, newest first; of one state, unless it is
        empty."""

    async def open_operations(self, *, limit: int = 100) -> list[Operation]:
        """Those that are waiting or running, oldest first."""

    async def begin(self, id: str, *, total: int, detail: str = "") -> bool:
        """Waiting → running; False when it was not waiting."""

    async def progress(
        self,
        id: str,
        *,
        done: int,
        total: int,
        detail: str = "",
        figures: dict[str, float] | None = None,
    ) -> bool:
        """How far it is; False when it does not run any more (somebody cancelled it): leave it."""

    async def finish(
        self,
        id: str,
        state: OperationState,
        *,
        detail: str = "",
        figures: dict[str, float] | None = None,
    ) -> bool:
        """It is over: ``done`` or ``failed``; False when it was over already. `figures` are added
        to those that are there."""

    async def cancel(self, id: str, *, who: str, audit: Audit | None = None) -> bool:
        """Waiting or running → cancelled: what is under way is finished, nothing more is begun.
        False when it was over."""

    async def decided(self, decisions: Sequence[ClusterDecision]) -> None:
        """Append, in one statement."""

    async def decisions(
        self, *, subject: str = "", before: int = 2**62, limit: int = 100
    ) -> list[ClusterDecision]:
        """Those with a lower number than `before`, newest first; of one subject, unless it is
        empty."""

    async def forget(
        self, *, keep_operations: int = 10_000, keep_decisions: int = 20_000, limit: int = 1000
    ) -> int:
        """Delete what is beyond the newest so many (open operations stay), at most `limit` of each;
        how many were."""
