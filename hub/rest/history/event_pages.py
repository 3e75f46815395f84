"""Pages of stored events as one reader sees them: filled with what they see, and with cursors to
nothing else.

A filter by a field chooses among rows by what is stored. A row whose field is hidden from the
reader is left out, and so must be every trace of it: where a page ended by rows that are not shown,
its cursor (or its being there at all) would answer a guess.
"""

from collections.abc import Awaitable, Callable, Collection
from typing import NamedTuple

import msgspec

from actors.core.messages.events import published
from hub.access import redaction
from hub.access.redaction import View
from hub.rest.history.event_filters import FIELDS
from storage.ports.cameras import key_of
from storage.ports.event_queries import EventQuery, Key
from storage.ports.events import EventRow, EventStore

MOST_ROWS = 2_000  # looked at for one page; beyond them it ends early, with a cursor
MOST_SLOW = 4  # reads that took all of their time, likewise
WIDEST = 512  # rows of one read that looks for what is seen among what is not

Told = Callable[[Collection[EventRow]], Awaitable[View]]  # the view of what these rows tell


class SeenRow(NamedTuple):
    """A row, and its event as the reader sees it."""

    row: EventRow
    body: bytes


class SeenPage(msgspec.Struct, frozen=True):
    """At most so many rows as were asked for, in the order asked for; `more`: where to go on, None
    at the end."""

    rows: list[SeenRow]
    more: Key | None = None


async def read(
    events: EventStore,
    query: EventQuery,
    told: Told,
    *,
    newest: bool,
    beyond: Key | None,
    limit: int,
) -> SeenPage:
    """One page strictly beyond a key. It is said to have more where another row is seen, or where a
    read ends early."""
    found: list[SeenRow] = []
    size, rows, slow = limit + 1, 0, 0
    while True:
        page = await events.page(query, newest=newest, beyond=beyond, limit=size)
        here = seen(page.rows, await told(page.rows), query)
        found += here
        rows += len(page.rows)
        if len(found) > limit:
            return SeenPage(found[:limit], key_of(found[limit - 1].row))
        if page.more is None:
            return SeenPage(found)
        in_time = len(page.rows) >= size
        slow += not in_time
        if (not in_time and len(here) == len(page.rows)) or rows >= MOST_ROWS or slow >= MOST_SLOW:
            return SeenPage(found, page.more)
        beyond, size = page.more, max(size, min(2 * size, WIDEST))


def seen(rows: Collection[EventRow], view: View, query: EventQuery) -> list[SeenRow]:
    """Those of `rows` that are seen, and do not say by being there what is hidden."""
    asked = [name for name, field in FIELDS.items() if getattr(query, field) is not None]
    bodies = (
        (row, redaction.of_camera(published(row.body, row.hash, row.personal), view))
        for row in rows
    )
    return [
        SeenRow(row, body) for row, body in bodies if body is not None and not _tells(body, asked)
    ]


def _tells(body: bytes, asked: list[str]) -> bool:
    """Whether a field that was filtered by says what is hidden from this reader: by coming back,
    the event would tell it."""
    if not asked or b'"redacted"' not in body:
        return False
    event = msgspec.json.decode(body)
    return any(
        isinstance(found := event.get(name), dict) or found == redaction.HIDDEN_TYPE
        for name in asked
    )
