"""Everything stored, as of one moment, for audits: what retention dropped, the events by camera and
offset, then the camera rows."""

from collections.abc import AsyncIterator

import msgspec

from actors.core.messages.commits import Activation
from actors.core.settings import PostgresSettings
from storage.events.events import PostgresEventStore
from storage.events.partitions import DROP_LOCK
from storage.ports.events import EventRow
from storage.postgres import rows as rows_of
from storage.postgres.pool import Database, answering
from storage.postgres.statements import sql

STATEMENT_S = 600  # waiting for retention to end may take longer than any other statement may


class Horizon(msgspec.Struct, frozen=True):
    """The last event of a camera and epoch that retention has dropped: what is left is chained to
    its hash."""

    camera: str
    epoch: str
    offset: int
    hash: bytes


async def read_archive(
    settings: PostgresSettings, *, name: str = "audit"
) -> AsyncIterator[Horizon | EventRow | Activation]:
    """All horizons, then all events, then all camera rows, as of the moment it began. Raises
    Unavailable, ConfigError.

    It is read in slices, so no snapshot makes the rows of cameras grow: events never change, and
    those that came after the camera rows were read are left out. Retention drops nothing meanwhile.
    """
    database = await Database.open(
        msgspec.structs.replace(settings, command_timeout_s=STATEMENT_S), name=name, size=2
    )
    try:
        async with database.connection() as keeping:
            with answering(keeping, writing=False):
                await keeping.execute("SELECT pg_advisory_lock_shared($1)", DROP_LOCK)
            events = PostgresEventStore(database)
            snapshot = await events.snapshot()
            positions = [
                rows_of.activation(row) for row in await database.fetch(sql("cameras")["all_rows"])
            ]
            if await database.fetch_value(
                "SELECT to_regclass('event_horizons') IS NOT NULL"
            ):  # not in a database of an older release
                for row in await database.fetch(sql("retention")["horizons"]):
                    yield Horizon(row["camera"], row["epoch"], row["offset"], row["hash"])
            tips = {row.camera: (row.position.epoch, row.position.last_offset) for row in positions}
            async for event in events.as_of(snapshot, tips):
                yield event
            for position in positions:
                yield position
    finally:
        await database.close()
