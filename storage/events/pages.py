"""Listing events in PostgreSQL, filtered, newest or oldest first: a page goes through windows of
days (`storage.events.windows`)."""

import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from storage.events import windows
from storage.events.partitions import day_of
from storage.ports.cameras import key_of
from storage.ports.event_queries import EventQuery, Key, start_of
from storage.ports.events import EventPage, EventRow
from storage.postgres import rows as rows_of
from storage.postgres.pool import Database
from storage.postgres.statements import sql

# seconds a page may look; one that found too little by then ends early, and says where to go on
PAGE_S = 3.0
# Types that come with every object: not in the index of rare types, `events_of_rare_types` of
# migration 0020.
COMMON_TYPES = (
    "track.started",
    "track.ended",
    "track.stopped",
    "track.moved",
    "zone.entered",
    "zone.exited",
    "line.crossed",
)
# seconds the oldest day is believed; a read that believes an older one only looks at a day that is
# gone
KNOWN_S = 60.0


class Days:
    """The oldest day that has a partition, looked up once a minute, and today."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._first: date | None = None
        self._until = 0.0

    async def bounds(self) -> tuple[date, date]:
        """(oldest day, today), UTC."""
        today = datetime.now(UTC).date()
        if self._first is None or time.monotonic() > self._until:
            rows = await self._database.fetch(sql("events")["partitions"])
            self._first = min(
                (day for row in rows if (day := day_of(row["name"])) is not None), default=today
            )
            self._until = time.monotonic() + KNOWN_S
        return min(self._first, today), today


async def read_page(
    database: Database,
    days: Days,
    query: EventQuery,
    *,
    newest: bool,
    beyond: Key | None,
    limit: int,
) -> EventPage:
    """At most `limit` rows strictly beyond a key, in the order asked for. Raises the family."""
    key = start_of(query, newest=newest) if beyond is None else beyond
    first, today = await days.bounds()
    statement = _statement(query, newest=newest)
    walk = (
        windows.backward(first, today, query.low_us, key[0])
        if newest
        else windows.forward(first, today, key[0], query.high_us)
    )
    until = time.monotonic() + PAGE_S
    found: list[EventRow] = []
    last: windows.Window | None = None
    for window in walk:
        if last is not None and time.monotonic() > until:
            edge = last[0] if newest else last[1]
            return EventPage(
                found,
                key_of(found[-1]) if found else (windows.us_at(edge or windows.EPOCH), "", "", -1),
            )
        last = window
        text = statement.replace("{window}", windows.condition(window))
        found += map(
            rows_of.event,
            await database.fetch(text, *_arguments(query, key, limit + 1 - len(found))),
        )
        if len(found) > limit:
            return EventPage(found[:limit], key_of(found[limit - 1]))
    return EventPage(found, None)


def _statement(query: EventQuery, *, newest: bool) -> str:
    text = sql("events")["list_of_sites" if query.camera is None else "list_of_camera"].replace(
        "{rare}", _rare(query)
    )
    return text.replace("{way}", "DESC" if newest else "ASC").replace(
        "{beyond}", "<" if newest else ">"
    )


def _rare(query: EventQuery) -> str:
    """The conditions of the partial indexes that hold all that is asked for, spelled as the indexes
    spell them."""
    parts = ["TRUE"]
    if query.severities is not None and set(query.severities) == {"critical"}:
        parts.append("severity = 'critical'")
    if query.types is not None and not set(query.types).intersection(COMMON_TYPES):
        parts.append(f"type NOT IN {COMMON_TYPES}")
    return " AND ".join(parts)


def _arguments(query: EventQuery, key: Key, limit: int) -> list[Any]:
    filters = (query.types, query.severities, query.zones, query.lines, query.labels, query.tracks)
    common: list[Any] = [
        limit,
        _moment(query.low_us),
        _moment(query.high_us),
        _moment(key[0]),
        *key[1:],
        *map(_list, filters),
    ]
    if query.camera is None:
        return [list(query.sites), *common, _list(query.exclude or None)]
    return [query.camera, *common, query.epoch, query.after_offset]


def _list(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else list(values)


def _moment(us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
