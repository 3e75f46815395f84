"""Reading events back from PostgreSQL: `storage.ports.events.EventStore`.

Offsets have no holes, so a read of a camera knows by its rows alone whether the window of days it
looked at held all of them. Where it did not (hubs whose clocks differ by more than a day, an
earlier epoch), it is read again without a window.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from datetime import date
from itertools import pairwise

from storage.events import windows
from storage.events.pages import Days, read_page
from storage.events.personal import PersonalValues
from storage.events.snapshots import TransactionSnapshot
from storage.ports.event_queries import EARLIEST_US, LATEST_US, EventQuery, Key
from storage.ports.events import EventPage, EventRow
from storage.ports.keyring import Keyring
from storage.postgres import rows as rows_of
from storage.postgres.pool import Database
from storage.postgres.statements import sql

SLICE = 2_000  # rows of an export that are read at once, under a snapshot of their own
MAX_HINTS = 4_096  # readers that page forward: where the next page begins
EVERYWHERE: windows.Window = (None, None)

Tips = dict[str, tuple[str, int]]  # camera → epoch, offset
_Hint = tuple[str, str, int]  # camera, epoch, offset


class PostgresEventStore:
    """`storage.ports.events.EventStore` over one :class:`Database`."""

    def __init__(self, database: Database, keyring: Keyring | None = None) -> None:
        """`keyring`: None for who reads no personal value, as an audit."""
        self._database = database
        self._personal = None if keyring is None else PersonalValues(database, keyring)
        self._sql = sql("events")
        self._days = Days(database)
        self._hints: OrderedDict[_Hint, date] = OrderedDict()

    async def after(self, camera: str, epoch: str, offset: int, limit: int) -> list[EventRow]:
        return await self._with_personal(await self._after(camera, epoch, offset, limit))

    async def _with_personal(self, rows: list[EventRow]) -> list[EventRow]:
        return rows if self._personal is None else await self._personal.beside(rows)

    async def _after(self, camera: str, epoch: str, offset: int, limit: int) -> list[EventRow]:
        tip = await self._database.fetch(self._sql["tip"], camera)
        last = tip[0]["last_offset"] if tip and tip[0]["epoch"] == epoch else None
        if limit < 1 or (last is not None and last <= offset):
            return []
        first, today = await self._days.bounds()
        begin = await self._begin(camera, epoch, offset, first, today)
        if begin is None:
            return []
        found: list[EventRow] = []
        for window in windows.forward(first, today, begin, LATEST_US):
            found += await self._read(
                "after",
                window,
                camera,
                epoch,
                found[-1].offset if found else offset,
                limit - len(found),
            )
            if len(found) == limit or (found and found[-1].offset == last):
                break
        if not _whole(found, limit, last):
            found = await self._read("after", EVERYWHERE, camera, epoch, offset, limit)
        if len(found) == limit:
            self._hints[camera, epoch, found[-1].offset] = windows.day_at(found[-1].received_us)
            while len(self._hints) > MAX_HINTS:
                self._hints.popitem(last=False)
        return found

    async def _begin(
        self, camera: str, epoch: str, offset: int, first: date, today: date
    ) -> int | None:
        """A moment from which all later events of the camera were received; None when there are
        none."""
        hint = self._hints.get((camera, epoch, offset))
        if hint is not None:
            return windows.us_at(hint)
        begin: int | None = None
        for window in windows.backward(first, today, EARLIEST_US, LATEST_US):
            found = await self._database.fetch_value(
                self._sql["first_after"].replace("{window}", windows.condition(window)),
                camera,
                epoch,
                offset,
            )
            if found is not None:
                begin = EARLIEST_US if window[0] is None else windows.us_at(window[0])
                if found == offset + 1:
                    break
        return begin

    async def latest(self, camera: str, limit: int) -> list[EventRow]:
        """Those of the current epoch; earlier epochs fill up what is missing."""
        epoch, last = await self.numbering(camera)
        found: list[EventRow] = []
        first, today = await self._days.bounds()
        if last:
            for window in windows.backward(first, today, EARLIEST_US, LATEST_US):
                found += await self._read(
                    "before",
                    window,
                    camera,
                    epoch,
                    found[-1].offset if found else last + 1,
                    limit - len(found),
                )
                if len(found) == limit or (found and found[-1].offset == 1):
                    break
            if [row.offset for row in found] != list(range(last, last - len(found), -1)):
                found = await self._read("before", EVERYWHERE, camera, epoch, last + 1, limit)
        if len(found) < limit:
            found += await self._of_earlier_epochs(camera, epoch, limit - len(found), first, today)
        return await self._with_personal(found[::-1])

    async def numbering(self, camera: str) -> tuple[str, int]:
        tip = await self._database.fetch(self._sql["tip"], camera)
        return (tip[0]["epoch"], tip[0]["last_offset"]) if tip else ("", 0)

    async def _of_earlier_epochs(
        self, camera: str, epoch: str, limit: int, first: date, today: date
    ) -> list[EventRow]:
        found: list[EventRow] = []
        for window in windows.backward(first, today, EARLIEST_US, LATEST_US):
            text = self._sql["latest_of_earlier_epochs"].replace(
                "{window}", windows.condition(window)
            )
            found += map(
                rows_of.event, await self._database.fetch(text, camera, epoch, limit - len(found))
            )
            if len(found) == limit:
                break
        return sorted(found, key=lambda row: (row.epoch, row.offset), reverse=True)

    async def _read(
        self, name: str, window: windows.Window, camera: str, epoch: str, edge: int, limit: int
    ) -> list[EventRow]:
        text = self._sql[name].replace("{window}", windows.condition(window))
        return [
            rows_of.event(row)
            for row in await self._database.fetch(text, camera, epoch, edge, limit)
        ]

    async def page(
        self, query: EventQuery, *, newest: bool, beyond: Key | None, limit: int
    ) -> EventPage:
        page = await read_page(
            self._database, self._days, query, newest=newest, beyond=beyond, limit=limit
        )
        return EventPage(await self._with_personal(page.rows), page.more)

    async def homeless(self) -> int:
        return int(await self._database.fetch_value(self._sql["homeless"]))

    async def oldest_snapshot_s(self) -> float:
        return float(await self._database.fetch_value(self._sql["oldest_snapshot"]))

    async def snapshot(self) -> TransactionSnapshot:
        """What is committed now."""
        return TransactionSnapshot.parse(await self._database.fetch_value(self._sql["snapshot"]))

    async def tips(self) -> Tips:
        """The last event of each camera's row."""
        return {
            row["camera"]: (row["epoch"], row["last_offset"])
            for row in await self._database.fetch(self._sql["tips"])
        }

    async def export(self, cameras: Sequence[str] | None = None) -> AsyncIterator[EventRow]:
        """In slices: no snapshot lives longer than one. What is committed meanwhile is left out."""
        snapshot = await self.snapshot()
        async for event in self.as_of(snapshot, await self.tips(), cameras):
            yield event

    async def as_of(
        self, snapshot: TransactionSnapshot, tips: Tips, cameras: Sequence[str] | None = None
    ) -> AsyncIterator[EventRow]:
        """The events up to `tips`, which were read after `snapshot`, and those that `snapshot`
        shows beyond them."""
        wanted = None if cameras is None else list(cameras)
        at: tuple[str, str, int] = ("", "", 0)
        while rows := await self._database.fetch(self._sql["export"], wanted, *at, SLICE):
            for row in rows:
                # What lies beyond its camera's row is not simply left out: an audit has to see an
                # event that nobody committed.
                if (row["epoch"], row["offset"]) <= tips.get(
                    row["camera"], ("", 0)
                ) or snapshot.sees(row["written_by"]):
                    yield rows_of.event(row)
            at = (rows[-1]["camera"], rows[-1]["epoch"], rows[-1]["offset"])


def _whole(rows: list[EventRow], limit: int, last: int | None) -> bool:
    """Whether nothing is missing between the rows, nor at their end."""
    if not rows or any(later.offset != row.offset + 1 for row, later in pairwise(rows)):
        return False
    return len(rows) == limit or (last is not None and rows[-1].offset >= last)
