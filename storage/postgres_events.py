"""Reading events back from PostgreSQL: `storage.ports.EventStore`."""

from collections.abc import AsyncIterator, Sequence

from storage import postgres_rows as rows_of
from storage.ports import EventRow
from storage.postgres_pool import Database
from storage.statements import sql

PREFETCH = 500  # rows the export's cursor takes per round trip
EXPORT_IDLE_S = 60  # seconds the reader of an export may pause between two round trips


class PostgresEventStore:
    """`storage.ports.EventStore` over one :class:`Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sql("events")

    async def after(self, camera: str, epoch: str, offset: int, limit: int) -> list[EventRow]:
        """See the port."""
        return [rows_of.event(row) for row in await self._database.fetch(self._sql["after"], camera, epoch, offset, limit)]

    async def latest(self, camera: str, limit: int) -> list[EventRow]:
        """See the port. Those of the current epoch; earlier epochs fill up what is missing."""
        found = list(await self._database.fetch(self._sql["latest_of_epoch"], camera, limit))
        if len(found) < limit:
            found += await self._database.fetch(self._sql["latest_of_earlier_epochs"], camera, limit - len(found))
        return [rows_of.event(row) for row in reversed(found)]

    async def since(self, site: str, received_us: int, limit: int) -> list[EventRow]:
        """See the port."""
        return [rows_of.event(row) for row in await self._database.fetch(self._sql["site_since"], site, received_us, limit)]

    async def homeless(self) -> int:
        """See the port."""
        return int(await self._database.fetch_value(self._sql["homeless"]))

    async def export(self, cameras: Sequence[str] | None = None) -> AsyncIterator[EventRow]:
        """See the port. One moment of the database: what is committed meanwhile is not in it."""
        wanted = None if cameras is None else list(cameras)
        async with self._database.transaction(readonly=True) as connection:
            # The plan of a whole export differs from that of a few cameras, so this one is planned for its arguments.
            await connection.execute(
                f"SET LOCAL idle_in_transaction_session_timeout = '{EXPORT_IDLE_S}s'; SET LOCAL plan_cache_mode = 'force_custom_plan'"
            )
            async for row in connection.cursor(self._sql["export"], wanted, prefetch=PREFETCH):
                yield rows_of.event(row)
