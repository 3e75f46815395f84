"""The day partitions of `events`: made ahead, so that none is missing at midnight; what fell into the default one is moved home."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from storage.postgres_pool import Database, answering

PARTITIONS_AHEAD = 8  # days made ahead, today not counted
MAKER_LOCK = 0x6579_7269_6502  # "eyrie", 2: one at a time makes or drops partitions


class PartitionReport(msgspec.Struct, frozen=True):
    """`made`: names made now; `default_rows`: events that sit in the default partition (0 when all is well: more is an alarm)."""

    made: list[str]
    default_rows: int


def partition_name(day: date) -> str:
    """``events_20260301``."""
    return f"events_{day:%Y%m%d}"


def day_of(name: str) -> date | None:
    """The day of a partition's name; None for the default one."""
    try:
        return datetime.strptime(name, "events_%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def wanted_days(today: date, days_ahead: int) -> list[date]:
    """From yesterday (a hub whose clock is behind) to `days_ahead` days after `today`."""
    return [today + timedelta(days=n) for n in range(-1, days_ahead + 1)]


async def make_partitions(database: Database, days_ahead: int = PARTITIONS_AHEAD) -> PartitionReport:
    """Make the missing partitions. The migration calls this, and the supervisor once a day. Raises Unavailable when a lock is not had."""
    async with database.connection() as connection:
        with answering(connection, writing=True):
            made = await ensure_partitions(connection, days_ahead)
    rows = await database.fetch_value("SELECT count(*) FROM events_default")
    return PartitionReport(made, int(rows))


async def ensure_partitions(connection: Any, days_ahead: int) -> list[str]:
    """The same on a connection that the caller holds. Returns the names made."""
    today = (await connection.fetchval("SELECT now()")).astimezone(UTC).date()
    children = await connection.fetch("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass")
    existing = {row[0] for row in children}
    made = []
    for day in wanted_days(today, days_ahead):
        if partition_name(day) not in existing:
            await _make(connection, day)
            made.append(partition_name(day))
    return made


async def _make(connection: Any, day: date) -> None:
    name = partition_name(day)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    end = start + timedelta(days=1)
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", MAKER_LOCK)
        if await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", name):
            return
        # A table made apart and attached takes a weaker lock on `events` than CREATE TABLE … PARTITION OF, so readers and writers go on
        # (PostgreSQL manual, 5.12.2.2).
        await connection.execute(f"CREATE TABLE {name} (LIKE events INCLUDING ALL)")
        await connection.execute(f"ALTER TABLE {name} ADD CONSTRAINT day CHECK (received >= '{start}' AND received < '{end}')")
        await connection.execute(
            f"WITH moved AS (DELETE FROM events_default WHERE received >= $1 AND received < $2 RETURNING *) "
            f"INSERT INTO {name} SELECT * FROM moved",
            start, end,
        )  # fmt: skip
        await connection.execute(f"ALTER TABLE events ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')")
        await connection.execute(f"ALTER TABLE {name} DROP CONSTRAINT day")
