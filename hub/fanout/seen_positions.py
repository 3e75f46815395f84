"""Positions in the events of a site for who does not see all of its cameras.

The site's own offsets count every event, so gaps between them would tell when and how often hidden
cameras had one. Such a subscriber gets positions made of nothing but what the event itself says:
milliseconds since 2020, and 12 bits that part events of one millisecond. They grow with time and
cannot be counted. A position is found again by reading the site's stream backwards; one that is not
found there, or is that of two events, is lost, as one that Redis no longer keeps. Their epoch is
the stream's with :data:`MARK`, so that no offset is taken for a position.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from zlib import crc32

import msgspec

from actors.core.errors import Unavailable
from actors.core.times import to_us
from hub.fanout.recovery import MAX_RECOVERED, Item, Start, fresh
from hub.protocol.messages import HistoryRequest, SubscribeRequest
from storage.ports.live import Broker

MARK = ".seen"
MOST_READ = (
    2_000  # events of a site, hidden ones counted, that one recovery or history looks through
)
FIRST_READ = 32
_YEAR_2020_MS = 1_577_836_800_000
_PARTED = 0xFFF


class _Event(msgspec.Struct):
    camera: str
    epoch: str
    offset: int
    received: datetime


_events = msgspec.json.Decoder(_Event)


class SeenEvents(msgspec.Struct, frozen=True):
    """The newest events that are seen, in order, as items with positions. `whole`: there were none
    before them."""

    epoch: str
    items: list[Item]
    whole: bool

    @property
    def top(self) -> int:
        """The newest position, 0 where none is known."""
        return self.items[-1].offset if self.items else 0

    def after(self, position: int) -> list[Item] | None:
        """What came after a position, None where it is lost."""
        place = self._place(position)
        if place is None:
            return self.items if position == 0 and self.whole else None
        return self.items[place + 1 :]

    def before(self, position: int) -> list[Item] | None:
        """What came before it, likewise."""
        place = self._place(position)
        return None if place is None else self.items[:place]

    def _place(self, position: int) -> int | None:
        found = [place for place, item in enumerate(self.items) if item.offset == position]
        return found[0] if len(found) == 1 else None


def position(body: bytes) -> int:
    """Of a published event: below 2^53 until 2089."""
    event = _events.decode(body)
    parted = crc32(f"{event.camera}/{event.epoch}".encode()) + event.offset
    return max(0, to_us(event.received) // 1_000 - _YEAR_2020_MS) << 12 | parted & _PARTED


def seen_item(item: Item) -> Item:
    """The same event under its position."""
    return msgspec.structs.replace(item, offset=position(item.body))


async def read(
    broker: Broker,
    site: str,
    top: int,
    exclude: frozenset[str],
    enough: Callable[[SeenEvents], bool],
) -> SeenEvents:
    """The newest events of a site up to its offset `top`, without those of the cameras `exclude`:
    back to where it is `enough`.

    Raises Unavailable where the stream begins anew meanwhile.
    """
    found, low, size = SeenEvents("", [], top == 0), top, FIRST_READ
    while low > 0 and top - low < MOST_READ:
        after = max(0, low - size)
        epoch, _, publications = await broker.history(site, None, after, low - after)
        if found.epoch not in ("", epoch):
            raise Unavailable("the events of this site begin anew")
        older = [seen_item(Item(0, p.body, p)) for p in publications if p.camera not in exclude]
        kept = bool(publications) and publications[0].stream_offset == after + 1
        found, low, size = (
            SeenEvents(epoch, older + found.items, kept and after == 0),
            after,
            4 * size,
        )
        if not kept or enough(found):
            break
    return found


def newest(count: int) -> Callable[[SeenEvents], bool]:
    """Enough are so many."""
    return lambda seen: len(seen.items) >= count


def back_to(position: int, before: int = 0) -> Callable[[SeenEvents], bool]:
    """Enough is a position with `before` events before it."""
    return lambda seen: (found := seen.before(position)) is not None and len(found) >= before


def recoverable(position: int) -> Callable[[SeenEvents], bool]:
    """Enough is a position, or more than any recovery gives."""
    return lambda seen: len(seen.items) > MAX_RECOVERED or seen.before(position) is not None


def start(request: SubscribeRequest, epoch: str, seen: SeenEvents) -> Start:
    """The answer to a subscriber, as `hub.fanout.recovery` makes it of offsets: all or nothing."""
    name = epoch + MARK
    if not request.recover:
        return fresh(name, seen.top)
    missed = seen.after(request.offset) if request.epoch in ("", name) else None
    if missed is None or len(missed) > MAX_RECOVERED:
        return Start(False, name, seen.top, seen.top)
    return Start(True, name, request.offset, seen.top, missed)


async def history(
    broker: Broker, site: str, top: int, exclude: frozenset[str], asked: HistoryRequest
) -> tuple[int, Sequence[Item]] | None:
    """(newest position, events) of a history command, as `hub.dashboards.subscribe` reads it of
    offsets; None where `since` is lost."""
    wanted = MAX_RECOVERED if asked.limit < 0 else min(asked.limit, MAX_RECOVERED)
    since = asked.since
    if since is None or not wanted:
        seen = await read(broker, site, top, exclude, newest(max(1, wanted)))
        items: list[Item] | None = seen.items[-wanted:] if wanted else []
    else:
        seen = await read(
            broker, site, top, exclude, back_to(since.offset, wanted if asked.reverse else 0)
        )
        found = seen.before(since.offset) if asked.reverse else seen.after(since.offset)
        items = None if found is None else found[-wanted:] if asked.reverse else found[:wanted]
    if items is None:
        return None
    return seen.top, items[::-1] if asked.reverse else items
