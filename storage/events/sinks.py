"""Reading events for sinks: `storage.ports.background.sinks.SinkStore`, whole."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from storage.events import windows
from storage.events.personal import PersonalValues
from storage.ports.background.sinks import DueCamera
from storage.ports.events import EventRow
from storage.ports.keyring import Keyring
from storage.postgres import rows as rows_of
from storage.postgres.background.sinks import PostgresSinks
from storage.postgres.pool import Database

EVERYWHERE: windows.Window = (None, None)


class PostgresSinkStore(PostgresSinks):
    """`storage.ports.background.sinks.SinkStore`: reads look from the day of each cursor on, and
    everywhere where that cannot have shown all."""

    def __init__(
        self,
        database: Database,
        keyring: Keyring | None = None,
        statements: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(database, statements)
        self._personal = None if keyring is None else PersonalValues(database, keyring)

    async def read(self, due: Sequence[DueCamera], limit: int) -> Mapping[str, list[EventRow]]:
        near = [one for one in due if one.cursor.received_us]
        found: dict[str, list[EventRow]] = {}
        if near:
            first = windows.day_at(min(one.cursor.received_us for one in near)) - timedelta(days=1)
            found = await self._read(near, (first, None), limit)
        far = [one for one in due if not whole(one, found.get(one.camera, []), limit)]
        if far:
            found |= await self._read(far, EVERYWHERE, limit)
        return found

    async def _read(
        self, due: Sequence[DueCamera], window: windows.Window, limit: int
    ) -> dict[str, list[EventRow]]:
        text = self._sql["read"].replace("{window}", windows.condition(window))
        keys = rows_of.columns(((d.camera, d.cursor.epoch, d.cursor.offset) for d in due), 3)
        rows = await self._database.fetch(text, *keys, limit)
        events = [
            rows_of.event(row)
            if row["home"]
            else EventRow(row["camera"], row["epoch"], row["offset"], b"", b"", 0)
            for row in rows
        ]
        if self._personal is not None:
            events = await self._personal.beside(events)
        found: dict[str, list[EventRow]] = {one.camera: [] for one in due}
        for event in events:
            found[event.camera].append(event)
        return found


def whole(due: DueCamera, rows: Sequence[EventRow], limit: int) -> bool:
    """Whether `rows` must be all that there is beyond the cursor, up to `limit`: they follow it
    without a hole, and reach the camera's position. An end of an epoch is never seen by rows."""
    cursor = due.cursor
    if cursor.epoch != due.epoch:
        return False
    if [row.offset for row in rows] != [cursor.offset + n for n in range(1, len(rows) + 1)]:
        return False
    if any(row.epoch != cursor.epoch for row in rows):
        return False
    return len(rows) == limit or cursor.offset + len(rows) >= due.last_offset
