"""Retention of events: whole days are dropped as partitions, never row by row, and a receipt says what went.

A day is the day of receiving: a camera's own clock may be years off, and neither keeps nor costs an event. What went is marked in
`event_horizons`, so that an audit still proves the chain of what is left.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from storage.events.partitions import DROP_LOCK, MAKER_LOCK, day_of
from storage.postgres.pool import Database, answering
from storage.postgres.statements import sql

STATEMENT_S = 600  # counting and dropping a day may take long; waiting for its lock may not (`postgres_pool.LOCK_TIMEOUT_S`)
DEFAULT = "events_default"


class Dropped(msgspec.Struct, frozen=True):
    """One day's receipt: its partition (or the default one, of which only old rows go), events and bytes."""

    partition: str
    events: int
    bytes: int


class RetentionReport(msgspec.Struct, frozen=True):
    """`before`: events received earlier went (or would go, when `dry`)."""

    before: datetime
    dropped: list[Dropped]
    dry: bool = False

    @property
    def events(self) -> int:
        """How many events in all."""
        return sum(one.events for one in self.dropped)


async def drop_old(database: Database, keep_days: int, *, dry: bool = False) -> RetentionReport:
    """Drop the days before the last `keep_days` whole ones (UTC, by the database's clock); 0 keeps everything.

    Each day in a transaction of its own. Raises Unavailable when a reader held a partition for too long; what went until then is gone.
    """
    async with database.connection() as connection:
        with answering(connection, writing=True):
            now = await connection.fetchval("SELECT now()")
            before = datetime(now.year, now.month, now.day, tzinfo=UTC) - timedelta(days=keep_days)
            if not keep_days:
                return RetentionReport(before, [], dry)
            children = await connection.fetch("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass")
            days = {name: day for row in children if (day := day_of(name := row[0])) is not None}
            dropped = [await _drop(connection, name, before, dry=dry) for name in sorted(days) if _over(days[name], before)]
            dropped.append(await _empty_default(connection, before, dry=dry))
    return RetentionReport(before, [one for one in dropped if one.partition != DEFAULT or one.events], dry)


def _over(day: date, before: datetime) -> bool:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1) <= before


async def _drop(connection: Any, name: str, before: datetime, *, dry: bool) -> Dropped:
    async with connection.transaction():
        await _begin(connection)
        receipt = await _weigh(connection, name, before)
        if not dry:
            await connection.execute(sql("retention")["note_horizons"].format(table=name), before, timeout=STATEMENT_S)
            await connection.execute(f"ALTER TABLE events DETACH PARTITION {name}")
            await connection.execute(f"DROP TABLE {name}")
    return receipt


async def _empty_default(connection: Any, before: datetime, *, dry: bool) -> Dropped:
    """The default partition stays; what is old in it goes row by row: there should be nothing."""
    async with connection.transaction():
        await _begin(connection)
        receipt = await _weigh(connection, DEFAULT, before)
        if receipt.events and not dry:
            await connection.execute(sql("retention")["note_horizons"].format(table=DEFAULT), before, timeout=STATEMENT_S)
            await connection.execute(f"DELETE FROM {DEFAULT} WHERE received < $1", before, timeout=STATEMENT_S)
    return receipt


async def _begin(connection: Any) -> None:
    await connection.execute(f"SET LOCAL statement_timeout = '{STATEMENT_S}s'; SET LOCAL transaction_timeout = '{STATEMENT_S}s'")
    await connection.execute("SELECT pg_advisory_xact_lock($1), pg_advisory_xact_lock($2)", MAKER_LOCK, DROP_LOCK)


async def _weigh(connection: Any, name: str, before: datetime) -> Dropped:
    events = await connection.fetchval(f"SELECT count(*) FROM {name} WHERE received < $1", before, timeout=STATEMENT_S)
    return Dropped(name, int(events), int(await connection.fetchval("SELECT pg_total_relation_size($1::regclass)", name)))
