"""What the rest of Eyrie asks of storage. Contracts live in these docstrings; `postgres_*` and `redis_*` are the only implementations,
`tests/support` holds doubles with failure switches, and one contract suite runs against both.

Errors: :class:`~actors.core.errors.Unavailable` when the server is away before a write was sent,
:class:`~actors.core.errors.UnknownOutcome` when a write was sent and no answer came,
:class:`~actors.core.errors.PoisonRow` (a BadInput) when a value can never be stored; it names the camera, and nothing of the call was
stored. :class:`~actors.core.errors.ConfigError` when the server refuses the login or lacks the schema. Nothing else escapes.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

import msgspec

from actors.core.messages.commits import Activation, CommitRow, Ownership
from storage.ports.event_queries import EventQuery, Key
from storage.ports.policy import Audit
from storage.ports.registration_bounds import RegistrationBound


class CameraStore(Protocol):
    """The camera rows: assignment, activation, commit. PostgreSQL is the authority."""

    async def assign(self, camera: str, owner: str | None, *, previous: str | None) -> bool:
        """Make `owner` (an actor incarnation; None: nobody) the owner if the owner still is `previous`. The supervisor alone calls this.

        True also when `owner` already is the owner (a repeated call: incarnations are unique).
        """

    async def activate(self, owner: str, cameras: Sequence[str], *, above: Mapping[str, int] | None = None) -> list[Activation]:
        """``generation + 1`` where `owner` still owns the row; cameras missing from the answer are not owned: stop.

        `above`: camera → a generation that Redis already knows (`Publisher.fences`); the new one is greater than it too, so a restored
        database does not stay fenced out.
        """

    async def open_session(self, camera: str, owner: str, generation: int, session: str) -> str:
        """Move the row to a session never seen before (`last_seq` 0).

        ``opened``, ``superseded`` (seen before and not the newest) or ``fenced``.

        ``opened`` also when the row already stands in `session` (a repeated call). `last_offset` and `chain` stay.
        """

    async def commit(self, rows: Sequence[CommitRow]) -> set[str]:
        """ONE statement: advance every row whose owner, generation and `before` still hold, with its events, dead letters and replays.

        Returns the cameras that moved. At most one row per camera; they are locked in camera
        order. All or nothing per camera. The row's session never moves here
        (`open_session` does that); its epoch may (`after.epoch`, with `last_offset` counting the new epoch's events).
        """

    async def ownership(self, cameras: Sequence[str]) -> dict[str, Ownership]:
        """The rows as they are now, to classify a commit that did not move or whose outcome is unknown."""

    async def owners(self) -> dict[str, str | None]:
        """camera → owner, of all registered cameras."""

    async def homes(self) -> dict[str, str]:
        """camera → site, of all registered cameras."""


class EventRow(msgspec.Struct, frozen=True):
    """A stored event as read back."""

    camera: str
    epoch: str
    offset: int
    body: bytes
    hash: bytes
    received_us: int


class EventPage(msgspec.Struct, frozen=True):
    """`rows` in the order asked for. `more`: the key to go on beyond, None at the end; a page may end early, with `more`, to stay short."""

    rows: list[EventRow]
    more: Key | None


def key_of(row: EventRow) -> Key:
    """Where a row stands in a listing."""
    return row.received_us, row.camera, row.epoch, row.offset


class EventStore(Protocol):
    """Reading events back."""

    async def after(self, camera: str, epoch: str, offset: int, limit: int) -> list[EventRow]:
        """Events of one camera with a greater offset, in order, at most `limit`."""

    async def latest(self, camera: str, limit: int) -> list[EventRow]:
        """The newest events of one camera, oldest first."""

    async def page(self, query: EventQuery, *, newest: bool, beyond: Key | None, limit: int) -> EventPage:
        """At most `limit` of the events that `query` takes, newest or oldest first, strictly beyond a key (None: from the start)."""

    async def oldest_snapshot_s(self) -> float:
        """The age of the oldest transaction that keeps old rows alive, in seconds: it makes the rows of cameras grow and commits slow."""

    def export(self, cameras: Sequence[str] | None = None) -> AsyncIterator[EventRow]:
        """All events, by camera, epoch (names of epochs sort by age) and offset, in slices. What is committed meanwhile
        is left out."""

    async def homeless(self) -> int:
        """How many events lie in no day's partition, counted up to 1000: more than none is an alarm (a clock that is days off, or nobody
        makes partitions)."""


class CameraRecord(msgspec.Struct, frozen=True):
    """A registered camera, or one that was `deleted`. `version` grows with every change of it, `scene_version` with those of its scene.

    `seen`: it ever had a session, set when read.
    """

    camera: str
    site: str
    name: str
    scene: bytes
    scene_version: int
    tags: list[str]
    version: int = 1
    deleted: bool = False
    seen: bool = False
    auto_registered: bool = False  # a device brought it about by itself


class SiteRecord(msgspec.Struct, frozen=True):
    """A registered site. `place` is the JSON of `actors.core.scene.scene.Place`; `version` grows with every change."""

    site: str
    name: str = ""
    place: bytes = b"{}"
    version: int = 1


class SceneChange(msgspec.Struct, frozen=True):
    """A camera whose registered scene is not the known one; `scene` is None when the camera was deleted."""

    camera: str
    scene: bytes | None
    version: int


class Registry(Protocol):
    """Sites and cameras. Deleting marks a row: it is as if it were not there, until it is added again. A camera's site never changes:
    what is stored of a deleted one goes by its site and tags as they were.

    `audit` writes the record of a change in its transaction; it is not asked where nothing changes, and what it raises undoes the change.
    """

    async def register(
        self,
        camera: str,
        site: str,
        *,
        name: str = "",
        scene: bytes = b"{}",
        tags: Sequence[str] = (),
        audit: Audit | None = None,
        bound: RegistrationBound | None = None,
    ) -> bool:
        """Add a camera (and its site) if it is not there; True when it was added. Makes its camera row (no owner, generation 0).

        What an edge brings about by itself: it never brings back a camera that was deleted. Raises TooManyCameras beyond `bound`, which
        holds exactly over all processes; nothing is added then.
        """

    async def camera(self, camera: str, *, deleted: bool = False) -> CameraRecord | None:
        """One camera; with `deleted` also one that was deleted."""

    async def cameras(self, site: str | None = None, *, deleted: bool = False) -> list[CameraRecord]:
        """All cameras, or those of one site, by id; with `deleted` also those that were deleted, without their scenes."""

    async def set_scene(self, camera: str, scene: bytes, *, expected_version: int | None = None, audit: Audit | None = None) -> int | None:
        """Store a scene; the new version, or None when `expected_version` is not the current one. Raises NotFound."""

    async def add_camera(
        self, camera: str, site: str, *, name: str = "", tags: Sequence[str] = (), scene: bytes = b"{}", restores: int | None = None,
        audit: Audit | None = None,
    ) -> bool:  # fmt: skip
        """Add a camera to a registered site, or bring back a deleted one (its stream goes on where it stood); False when its id is taken.

        A deleted one comes back at its own site alone, with its tags unless others are given. `restores`: only if this is its version;
        0: never. Raises NotFound for a site that is not registered.
        """

    async def update_camera(
        self, camera: str, *, name: str, tags: Sequence[str], expected_version: int | None = None, audit: Audit | None = None
    ) -> int | None:
        """Set these; the new version, or None when `expected_version` is not the current one. Raises NotFound."""

    async def remove_camera(self, camera: str, *, expected_version: int | None = None, audit: Audit | None = None) -> bool:
        """Mark it deleted; False when `expected_version` is not the current one. Raises NotFound."""

    async def sites(self, *, after: str = "", limit: int = 1000) -> list[SiteRecord]:
        """Sites by id, those after `after`, at most `limit`."""

    async def site(self, site: str) -> SiteRecord | None:
        """One site."""

    async def add_site(self, site: str, *, name: str = "", place: bytes = b"{}", audit: Audit | None = None) -> bool:
        """Add a site, or bring a deleted one back; False when it is there."""

    async def update_site(
        self, site: str, *, name: str, place: bytes, expected_version: int | None = None, audit: Audit | None = None
    ) -> int | None:
        """Set these; the new version, or None when `expected_version` is not the current one. Raises NotFound."""

    async def remove_site(self, site: str, *, expected_version: int | None = None, audit: Audit | None = None) -> bool:
        """Mark it deleted; False when `expected_version` is not the current one. Raises NotFound, and Conflict while it has cameras."""

    async def changed_scenes(self, known: Mapping[str, int]) -> list[SceneChange]:
        """What an actor process must learn: of the cameras with the scene versions it knows, those that changed or were deleted."""


class LiveState(msgspec.Struct, frozen=True, array_like=True):
    """A state to show: `body` is the JSON of `actors.core.messages.states.State`."""

    site: str
    camera: str
    generation: int
    version: int
    offset: int
    body: bytes


class LiveEvent(msgspec.Struct, frozen=True, array_like=True):
    """A committed event to show: `body` is `actors.core.messages.events.published`."""

    site: str
    camera: str
    generation: int
    epoch: str
    offset: int
    body: bytes


class LiveSummary(msgspec.Struct, frozen=True, array_like=True):
    """One camera's line in a wall tick, or in a heartbeat (then `body` is empty)."""

    camera: str
    generation: int
    version: int
    offset: int
    body: bytes = b""


class Publication(msgspec.Struct, frozen=True, array_like=True):
    """What a hub receives from Redis. `kind`: ``state``, ``event``, ``summaries``, ``heartbeat``, ``notice``, ``canary``,
    ``operations`` (of the cluster: JSON in `body`).

    `entries` is set for summaries and heartbeats; the rest for state and event. `stream_epoch`/`stream_offset` are the position in the
    site's Redis stream (events only).
    """

    kind: str
    site: str
    camera: str = ""
    generation: int = 0
    version: int = 0
    epoch: str = ""
    offset: int = 0
    stream_epoch: str = ""
    stream_offset: int = 0
    body: bytes = b""
    entries: list[LiveSummary] = []


class Publisher(Protocol):
    """The actor's side of Redis. Every script refuses a generation lower than the fence; one pipeline per call, whatever its size."""

    async def raise_fences(self, entries: Sequence[tuple[str, str, int]]) -> None:
        """(site, camera, generation): from now on lower generations are refused. Part of every activation."""

    async def publish(
        self, states: Sequence[LiveState], events: Sequence[LiveEvent], summaries: dict[str, list[LiveSummary]],
        heartbeats: dict[str, list[LiveSummary]],
    ) -> set[str]:  # fmt: skip
        """Show states, events (idempotent per (camera, epoch, offset), in order), summaries and heartbeats by site.

        Returns the refused cameras.

        Refused: a lower generation than the fence, or events that would leave a hole after the mark. Either way re-read
        (`CameraStore.ownership`, then `published_marks`) before going on. A state not newer than the one shown is dropped silently.
        Every call may be repeated whole after an UnknownOutcome.
        """

    async def show_operations(self, body: bytes) -> None:
        """Show the cluster's operations, in place of those shown before. The supervisor alone calls this."""

    async def fences(self, cameras: Sequence[tuple[str, str]]) -> dict[str, int]:
        """(site, camera) → the fence, where Redis has one."""

    async def published_marks(self, cameras: Sequence[tuple[str, str]]) -> dict[str, tuple[str, int]]:
        """(site, camera) → the (epoch, offset) last published; missing where Redis has lost it."""

    async def set_marks(self, marks: Sequence[tuple[str, str, int, str, int]]) -> None:
        """(site, camera, generation, epoch, offset): set a lost mark to the row's, nothing replayed; the site's stream gets a new epoch."""


class Broker(Protocol):
    """The hub's side of Redis: interest-driven subscriptions."""

    def run(self) -> AsyncIterator[Publication]:
        """Publications of what is subscribed, one reader at a time: ``async for publication in broker.run()``.

        A ``notice`` tells what may have been missed, in its `body`: ``lost`` (no connection now), ``resubscribed`` (it is back: compare
        offsets and versions of everything watched), ``overflowed`` (the reader was too slow, the queue was emptied: compare likewise).
        """

    async def watch(self, sites: Sequence[str], cameras: Sequence[tuple[str, str]]) -> None:
        """Subscribe to the summaries, heartbeats and events of sites, and to the states of (site, camera). Idempotent.

        Returns when Redis has confirmed. Raises Unavailable when it has not in time; the wish stays and is carried out on reconnection,
        which a ``resubscribed`` notice tells.
        """

    async def unwatch(self, sites: Sequence[str], cameras: Sequence[tuple[str, str]]) -> None:
        """The opposite."""

    async def echo(self, name: str, body: bytes) -> None:
        """Publish `body` to a channel that this broker alone is subscribed to: it comes back by `run` with the kind ``canary``.

        `name` is unique per hub. Raises Unavailable or UnknownOutcome.
        """

    async def tell(self, name: str, body: bytes) -> bool:
        """Send `body` to the hub that echoes under `name`: it gets it by `run` with the kind ``canary``. Whether anybody listens.

        Raises Unavailable or UnknownOutcome.
        """

    async def watch_operations(self) -> None:
        """Subscribe to the cluster's operations, for good. Idempotent; returns and raises as :meth:`watch` does."""

    async def operations(self) -> bytes:
        """Those shown last, as JSON; empty where none were."""

    async def state(self, site: str, camera: str) -> LiveState | None:
        """The last published state."""

    async def summaries(self, site: str) -> list[LiveSummary]:
        """The last published summary of every camera of a site: what a wall's first message holds."""

    async def history(self, site: str, camera: str | None, after: int, limit: int) -> tuple[str, int, list[Publication]]:
        """(epoch, top offset, events after `after`) of a camera's stream, or the site's when `camera` is None."""


class DeadLetterRow(msgspec.Struct, frozen=True):
    """A dead letter as read back. `status`: ``new``, ``replayed`` or ``discarded`` (why: `reason`; by whom: `by`, a token's subject).

    `seq` is 0 where the item had none.
    """

    id: int
    camera: str
    session: str
    seq: int
    code: str
    detail: str
    raw: bytes
    received_us: int
    status: str
    reason: str = ""
    by: str = ""


class NewLetter(msgspec.Struct, frozen=True):
    """An item to keep that had no seq (an undecodable frame); `camera` and `session` may be empty."""

    camera: str
    session: str
    code: str
    detail: str
    raw: bytes
    received_us: int


class DeadLetterStore(Protocol):
    """The refused items. Those of numbered observations get there by `CameraStore.commit`."""

    async def add_many(self, letters: Sequence[NewLetter]) -> list[int]:
        """Keep several in one statement; their ids, in this order."""

    async def add(self, camera: str, session: str, code: str, detail: str, raw: bytes, received_us: int) -> int:
        """The same with one :class:`NewLetter`; its id."""

    async def list(self, *, camera: str | None = None, status: str | None = None, after: int = 0, limit: int = 100) -> list[DeadLetterRow]:
        """By id, those with a greater id than `after`, at most `limit`."""

    async def get(self, letter: int) -> DeadLetterRow | None:
        """One of them."""

    async def mark(self, ids: Sequence[int], status: str, *, reason: str = "", by: str = "", audit: Audit | None = None) -> int:
        """Set ``replayed`` or ``discarded``, why and by whom, on those that are still ``new``; how many were. `audit`: see Registry.

        A replay marks its letter by `CameraStore.commit` instead, in the statement that stores its event.
        """
