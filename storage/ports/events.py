"""What is asked of storage about events."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import msgspec

from actors.core.messages.personal import PersonalValue
from storage.ports.event_queries import EventQuery, Key


class EventRow(msgspec.Struct, frozen=True):
    """A stored event as read back. `personal`: those of its personal values that can be read, of
    one that is read for somebody; an export has none."""

    camera: str
    epoch: str
    offset: int
    body: bytes
    hash: bytes
    received_us: int
    personal: tuple[PersonalValue, ...] = ()


class EventPage(msgspec.Struct, frozen=True):
    """`rows` in the order asked for. `more`: the key to go on beyond, None at the end; a page may
    end early, with `more`, to stay short."""

    rows: list[EventRow]
    more: Key | None


class EventStore(Protocol):
    """Reading events back."""

    async def after(self, camera: str, epoch: str, offset: int, limit: int) -> list[EventRow]:
        """Events of one camera with a greater offset, in order, at most `limit`."""

    async def latest(self, camera: str, limit: int) -> list[EventRow]:
        """The newest events of one camera, oldest first."""

    async def numbering(self, camera: str) -> tuple[str, int]:
        """The epoch of a camera's events and the offset of the last one, 0 before the first; an
        empty epoch and 0 for a camera that was never registered."""

    async def page(
        self, query: EventQuery, *, newest: bool, beyond: Key | None, limit: int
    ) -> EventPage:
        """At most `limit` of the events that `query` takes, newest or oldest first, strictly beyond
        a key (None: from the start)."""

    async def oldest_snapshot_s(self) -> float:
        """The age of the oldest transaction that keeps old rows alive, in seconds: it makes the
        rows of cameras grow and commits slow."""

    def export(self, cameras: Sequence[str] | None = None) -> AsyncIterator[EventRow]:
        """All events, by camera, epoch (names of epochs sort by age) and offset, in slices. What is
        committed meanwhile is left out."""

    async def homeless(self) -> int:
        """How many events lie in no day's partition, counted up to 1000: more than none is an alarm
        (a clock that is days off, or nobody makes partitions)."""
