"""What is asked of storage about sinks: destinations outside of Eyrie that get events.

The table `events` is the outbox: offsets of a camera have no holes, so a cursor per (sink, camera)
says all. It moves by compare-and-swap, under the generation of the connector that runs the sink.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from storage.ports.background.connectors import ConnectorClaim
from storage.ports.background.jobs import Values
from storage.ports.events import EventRow
from storage.ports.policy import Audit

SinkState = Literal["active", "paused", "disabled"]
Outcome = Literal["delivered", "retry", "parked", "disabled"]
HoleKind = Literal["skipped", "lost"]
MAX_DETAIL = 512  # characters of an attempt's detail; what is longer is cut
KEPT_ATTEMPTS = 20_000  # of one sink
KEPT_DAYS = 14.0


def connector_of(sink: str) -> str:
    """The name of the connector that runs a sink."""
    return f"sink:{sink}"


class SinkRow(msgspec.Struct, frozen=True):
    """A sink as stored. Times in microseconds since 1970, set when read. `secrets` are sealed."""

    name: str
    kind: str
    spec: Values
    state: SinkState = "active"
    reason: str = ""
    secrets: bytes = b""
    who: str = ""
    created_us: int = 0
    changed_us: int = 0


class Cursor(msgspec.Struct, frozen=True):
    """Everything of a camera up to (epoch, offset) is over. `sent`: the id of the last message that
    went out; `received_us`: when the event at the cursor was received, 0: unknown; `place`: the
    number of the last message in its stream, 0: none, or there is no stream."""

    epoch: str = ""
    offset: int = 0
    sent: str = ""
    received_us: int = 0
    place: int = 0


class DueCamera(msgspec.Struct, frozen=True):
    """A camera with more than its cursor says. `epoch` and `last_offset` are its position.
    `failures` of the next event, in a row, since `since_us` (0: none). The sink began after
    (`begin_epoch`, `begin_offset`)."""

    camera: str
    site: str
    tags: tuple[str, ...]
    cursor: Cursor
    epoch: str
    last_offset: int
    failures: int = 0
    since_us: int = 0
    begin_epoch: str = ""
    begin_offset: int = 0


class CursorMove(msgspec.Struct, frozen=True):
    """From `before`, which must still be so, to `after`."""

    camera: str
    before: Cursor
    after: Cursor


class SinkHole(msgspec.Struct, frozen=True):
    """Events `first` to `last` did not go out. `at_us` is set when read."""

    camera: str
    epoch: str
    first: int
    last: int
    kind: HoleKind
    reason: str
    error: str = ""
    silent: bool = False
    who: str = ""
    at_us: int = 0


class Attempt(msgspec.Struct, frozen=True):
    """One try to send an event. `status`: of HTTP, 0 without an answer. `at_us` set when read."""

    camera: str
    event: str
    ms: int
    status: int
    outcome: Outcome
    detail: str
    replay: bool = False
    at_us: int = 0


class Failure(msgspec.Struct, frozen=True):
    """The next event of a camera was not taken: try in `after_s` seconds, or, `parked`, not before
    somebody says so."""

    camera: str
    before: Cursor
    error: str
    after_s: float = 0.0
    parked: bool = False


class SinkLag(msgspec.Struct, frozen=True):
    """How far a sink is behind: cameras and events (of their current epochs) not passed on yet,
    cameras parked and failing, the last error, and seconds since its oldest unsent progress."""

    cameras: int
    events: int
    parked: int
    failing: int
    error: str
    behind_s: float


class CursorRow(msgspec.Struct, frozen=True):
    """One camera of a sink, for people. Times in microseconds since 1970, 0: none."""

    camera: str
    epoch: str
    offset: int
    last_offset: int
    sent: str
    failures: int
    parked: bool
    error: str
    retry_at_us: int
    changed_us: int


class SinkReplay(msgspec.Struct, frozen=True):
    """Events to be sent once more. `site` and `tags`: of the camera."""

    id: int
    camera: str
    epoch: str
    next: int
    last: int
    failures: int = 0
    site: str = ""
    tags: tuple[str, ...] = ()


class SinkBook(Protocol):
    """What people do to sinks and see of them."""

    async def make(
        self, sink: SinkRow, *, from_now: bool, paused: bool = False, audit: Audit | None = None
    ) -> bool:
        """Keep a new one, with cursors at the present end of every camera, or at the beginning.
        False: there is one of that name."""

    async def get(self, name: str) -> SinkRow | None:
        """One."""

    async def all(self) -> list[SinkRow]:
        """By name."""

    async def remove(self, name: str, *, audit: Audit | None = None) -> bool:
        """With all that is known of it; whether it was there."""

    async def set_state(
        self, name: str, state: SinkState, reason: str = "", *, audit: Audit | None = None
    ) -> bool:
        """Whoever runs it loses it. False: it is not there."""

    async def set_secrets(self, name: str, sealed: bytes, *, audit: Audit | None = None) -> bool:
        """Others from now on. False: it is not there."""

    async def skip(
        self, name: str, camera: str, hole: SinkHole, *, audit: Audit | None = None
    ) -> bool:
        """Pass over the event that a parked camera stands before: it is told as a hole, where it
        was told already and refused, in silence. False: nothing is parked there."""

    async def retry(self, name: str, camera: str, *, audit: Audit | None = None) -> bool:
        """Try a parked or waiting camera again now. False: there is none."""

    async def holes(
        self, name: str, *, cameras: Sequence[str] | None, limit: int
    ) -> Sequence[SinkHole]:
        """The newest first; of these cameras."""

    async def attempts(self, name: str, *, camera: str | None, limit: int) -> Sequence[Attempt]:
        """The newest first."""

    async def lag(self, name: str) -> SinkLag:
        """How far it is behind."""

    async def cursors(
        self, name: str, *, limit: int, camera: str | None = None
    ) -> Sequence[CursorRow]:
        """Of all cameras or of one: parked ones first, then failing ones, then those furthest
        behind."""

    async def replay(self, name: str, replay: SinkReplay, *, who: str, audit: Audit | None) -> int:
        """Want events once more; its number, 0 when the sink is not there."""


class SinkList(Protocol):
    """Who only tells which sinks there are."""

    async def all(self) -> list[SinkRow]:
        """By name."""


class SinkStore(SinkBook, Protocol):
    """The same, and what runs them: cursors, and what became of events."""

    async def disable(self, claim: ConnectorClaim, name: str, reason: str) -> bool:
        """By its owner: the receiver wants no more. False: it is not the caller's any more."""

    async def adopt(self, name: str) -> None:
        """Cursors for cameras that have come since, at their beginning."""

    async def due(self, name: str, *, busy: Collection[str], limit: int) -> list[DueCamera]:
        """At most `limit` cameras that have events to be passed on and are not waiting, the least
        recently moved first; none of `busy`."""

    async def beyond(self, name: str, place: int) -> list[DueCamera]:
        """The cameras whose cursor names a place in the stream above `place`: it lost them."""

    async def read(self, due: Sequence[DueCamera], limit: int) -> Mapping[str, list[EventRow]]:
        """Camera → at most `limit` of the events beyond its cursor, in order. Those of a site that
        is not the camera's have an empty body: they are for nobody."""

    async def move(self, claim: ConnectorClaim, name: str, moves: Sequence[CursorMove]) -> set[str]:
        """The cameras whose cursors moved; a failure is forgotten. Those of others stood elsewhere,
        or the sink is not the caller's any more."""

    async def fail(self, claim: ConnectorClaim, name: str, failures: Sequence[Failure]) -> set[str]:
        """The cameras of which that was noted, under the same conditions."""

    async def lose(self, claim: ConnectorClaim, name: str, holes: Sequence[SinkHole]) -> None:
        """Say of events that they cannot be sent any more; again is harmless."""

    async def attempted(self, name: str, attempts: Sequence[Attempt]) -> None:
        """Keep what was tried."""

    async def forget_attempts(self, name: str) -> None:
        """The oldest beyond the bounds."""

    async def replays(
        self, name: str, *, busy: Collection[str], limit: int
    ) -> Sequence[SinkReplay]:
        """Those to go on with now, the oldest of each camera, none of `busy`."""

    async def replayed(
        self, claim: ConnectorClaim, name: str, id: int, *, next: int, error: str, after_s: float
    ) -> bool:
        """It goes on at `next` in `after_s` seconds, or is over. False: not the caller's."""
