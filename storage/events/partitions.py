"""The day partitions of `events`: made ahead, so that none is missing at midnight; what fell into
the default one is moved home.

A day is made beside the table (CREATE, CHECK) and attached. Commits of a day without a partition go
to the default one, and ATTACH fails while it holds a row of that day: so it is locked from the move
until the attachment, and no row falls between. That lock is asked for in short tries, because
whoever comes while it is waited for has to wait too.
"""

import asyncio
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import msgspec

from storage.postgres.people.holds import Held, lock
from storage.postgres.pool import Database, answering
from storage.postgres.statements import sql

PARTITIONS_AHEAD = 8  # days made ahead, today not counted
# seconds one try waits for the lock of the default partition: nobody else is held up longer
TRY_S = 0.2
TRIES = 25
# moving a day of events out of the default partition may take longer than any other statement
MOVE_S = 600
MAKER_LOCK = 0x6579_7269_6502  # "eyrie", 2: one at a time makes or drops partitions

DROP_LOCK = (
    0x6579_7269_6503  # "eyrie", 3: shared by those who read all events, alone for who drops a day
)


class PartitionReport(msgspec.Struct, frozen=True):
    """`made`: names made now; `default_rows`: events that sit in the default partition (0 when all
    is well: more is an alarm).

    `failed`: partition → why it could not be made, while the others were.
    """

    made: list[str]
    default_rows: int
    failed: dict[str, str] = {}


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
    """Today, `days_ahead` days after it, and yesterday (a hub whose clock is behind): in the order
    of their need."""
    return [today + timedelta(days=n) for n in (*range(days_ahead + 1), -1)]


async def make_partitions(
    database: Database, days_ahead: int = PARTITIONS_AHEAD
) -> PartitionReport:
    """Make the missing partitions. The migration calls this, and the supervisor once a day. Raises
    Unavailable without PostgreSQL."""
    async with database.connection() as connection:
        with answering(connection, writing=True):
            report = await ensure_partitions(connection, days_ahead)
    rows = await database.fetch_value("SELECT count(*) FROM events_default")
    return msgspec.structs.replace(report, default_rows=int(rows))


async def ensure_partitions(connection: Any, days_ahead: int) -> PartitionReport:
    """The same on a connection that the caller holds; `default_rows` is not counted. A day that
    fails does not stop the next."""
    today = (await connection.fetchval("SELECT now()")).astimezone(UTC).date()
    children = await connection.fetch(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass"
    )
    existing = {row[0] for row in children}
    report = PartitionReport([], 0, {})
    for day in wanted_days(today, days_ahead):
        if (name := partition_name(day)) not in existing:
            try:
                if await _make_in_tries(connection, day):
                    report.made.append(name)
            except asyncpg.PostgresError as error:
                if connection.is_closed():
                    raise
                report.failed[name] = f"{type(error).__name__}: {error}"
    return report


async def _make_in_tries(connection: Any, day: date) -> bool:
    for left in reversed(range(TRIES)):
        try:
            return await _make(connection, day)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            if not left:
                raise
            await asyncio.sleep(random.uniform(0.5, 1.5) * TRY_S)
    return False


async def _make(connection: Any, day: date) -> bool:
    """Whether it was made now. Another maker may have been faster."""
    name = partition_name(day)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    end = start + timedelta(days=1)
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", MAKER_LOCK)
        if await connection.fetchval(
            "SELECT 1 FROM pg_inherits WHERE inhparent = 'events'::regclass AND inhrelid = "
            "to_regclass($1)",
            name,
        ):
            return False
        await connection.execute(f"SET LOCAL lock_timeout = '{round(TRY_S * 1000)}ms'")
        await connection.execute(
            f"SET LOCAL statement_timeout = '{MOVE_S}s'; SET LOCAL transaction_timeout = "
            f"'{MOVE_S}s'"
        )
        # CREATE TABLE … PARTITION OF would lock all of `events`; ATTACH does not, and the CHECK
        # spares it the scan of the new table (PostgreSQL manual, 5.12.2.2).
        await connection.execute(f"CREATE TABLE {name} (LIKE events INCLUDING ALL)")
        await connection.execute(
            f"ALTER TABLE {name} ADD CONSTRAINT day CHECK (received >= '{start}' AND received < "
            f"'{end}')"
        )
        await connection.execute("LOCK TABLE events_default IN ACCESS EXCLUSIVE MODE")
        await connection.execute(
            "WITH moved AS (DELETE FROM events_default WHERE received >= $1 AND received < $2 "
            "RETURNING *) "
            f"INSERT INTO {name} SELECT * FROM moved",
            start,
            end,
            timeout=MOVE_S,
        )
        await connection.execute(
            f"ALTER TABLE events ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')",
            timeout=MOVE_S,
        )
        await connection.execute(f"ALTER TABLE {name} DROP CONSTRAINT day")
    return True


# counting and dropping a day may take long; waiting for its lock may not
# (`postgres_pool.LOCK_TIMEOUT_S`)
STATEMENT_S = 600


DEFAULT = "events_default"


class DroppedDay(msgspec.Struct, frozen=True):
    """One day's receipt: its partition (or the default one, of which only old rows go), events and
    bytes."""

    partition: str
    events: int
    bytes: int


class RetentionReport(msgspec.Struct, frozen=True):
    """`before`: events received earlier went (or would go, when `dry`); `held`: partitions of days
    that a hold keeps, whole."""

    before: datetime
    dropped: list[DroppedDay]
    dry: bool = False
    held: list[str] = []

    @property
    def events(self) -> int:
        """How many events in all."""
        return sum(one.events for one in self.dropped)


async def drop_old(database: Database, keep_days: int, *, dry: bool = False) -> RetentionReport:
    """Drop the days before the last `keep_days` whole ones (UTC, by the database's clock); 0 keeps
    everything.

    Each day in a transaction of its own. Raises Unavailable when a reader held a partition for too
    long; what went until then is gone.
    """
    async with database.connection() as connection:
        with answering(connection, writing=True):
            now = await connection.fetchval("SELECT now()")
            before = datetime(now.year, now.month, now.day, tzinfo=UTC) - timedelta(days=keep_days)
            if not keep_days:
                return RetentionReport(before, [], dry)
            children = await connection.fetch(
                "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = "
                "'events'::regclass"
            )
            days = {name: day for row in children if (day := day_of(name := row[0])) is not None}
            over = sorted(name for name in days if _over(days[name], before))
            found = [await _drop(connection, name, days[name], before, dry=dry) for name in over]
            dropped = [one for one in found if one is not None]
            held = [name for name, one in zip(over, found, strict=True) if one is None]
            dropped.append(await _empty_default(connection, before, dry=dry))
    return RetentionReport(
        before, [one for one in dropped if one.partition != DEFAULT or one.events], dry, held
    )


def _over(day: date, before: datetime) -> bool:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1) <= before


async def _drop(
    connection: Any, name: str, day: date, before: datetime, *, dry: bool
) -> DroppedDay | None:
    """None: a hold reaches into the day."""
    async with connection.transaction():
        if (await _begin(connection)).day(datetime(day.year, day.month, day.day, tzinfo=UTC)):
            return None
        receipt = await _weigh(connection, name, before)
        if not dry:
            await connection.execute(
                sql("retention")["note_horizons"].format(table=name), before, timeout=STATEMENT_S
            )
            await connection.execute(f"ALTER TABLE events DETACH PARTITION {name}")
            await connection.execute(f"DROP TABLE {name}")
    return receipt


async def _empty_default(connection: Any, before: datetime, *, dry: bool) -> DroppedDay:
    """The default partition stays; what is old in it goes row by row: there should be nothing."""
    async with connection.transaction():
        await _begin(connection)
        receipt = await _weigh(connection, DEFAULT, before)
        if receipt.events and not dry:
            await connection.execute(
                sql("retention")["note_horizons"].format(table=DEFAULT), before, timeout=STATEMENT_S
            )
            await connection.execute(sql("retention")["empty_default"], before, timeout=STATEMENT_S)
    return receipt


async def _begin(connection: Any) -> Held:
    await connection.execute(
        f"SET LOCAL statement_timeout = '{STATEMENT_S}s'; SET LOCAL transaction_timeout = "
        f"'{STATEMENT_S}s'"
    )
    await connection.execute(
        "SELECT pg_advisory_xact_lock($1), pg_advisory_xact_lock($2)", MAKER_LOCK, DROP_LOCK
    )
    return await lock(connection)


async def _weigh(connection: Any, name: str, before: datetime) -> DroppedDay:
    events = await connection.fetchval(
        f"SELECT count(*) FROM {name} WHERE received < $1", before, timeout=STATEMENT_S
    )
    return DroppedDay(
        name,
        int(events),
        int(await connection.fetchval("SELECT pg_total_relation_size($1::regclass)", name)),
    )
