"""Everything stored, as of one moment, for audits: what retention dropped, the events by camera and offset, then the camera rows."""

from collections.abc import AsyncIterator

import msgspec

from actors.core.commits import Activation
from actors.core.settings import PostgresSettings
from storage import postgres_rows as rows_of
from storage.ports import EventRow
from storage.postgres_events import EXPORT_IDLE_S
from storage.postgres_pool import Database
from storage.statements import sql

PREFETCH = 2000  # rows per round trip: an archive may hold millions
STATEMENT_S = 600  # sorting all of them may take longer than any other statement may


class Horizon(msgspec.Struct, frozen=True):
    """The last event of a camera and epoch that retention has dropped: what is left is chained to its hash."""

    camera: str
    epoch: str
    offset: int
    hash: bytes


async def read_archive(settings: PostgresSettings, *, name: str = "audit") -> AsyncIterator[Horizon | EventRow | Activation]:
    """All horizons, then all events, then all camera rows, in one read-only transaction. Raises Unavailable, ConfigError."""
    database = await Database.open(msgspec.structs.replace(settings, command_timeout_s=STATEMENT_S), name=name, size=1)
    try:
        async with database.transaction(readonly=True) as connection:
            await connection.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{EXPORT_IDLE_S}s'")
            if await connection.fetchval("SELECT to_regclass('event_horizons') IS NOT NULL"):  # not in a database of an older release
                for row in await connection.fetch(sql("retention")["horizons"]):
                    yield Horizon(row["camera"], row["epoch"], row["offset"], row["hash"])
            async for row in connection.cursor(sql("events")["export"], None, prefetch=PREFETCH):
                yield rows_of.event(row)
            async for row in connection.cursor(sql("cameras")["all_rows"], prefetch=PREFETCH):
                yield rows_of.activation(row)
    finally:
        await database.close()
