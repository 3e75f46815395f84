"""Partitions by the day of receiving and their retention, on a PostgreSQL of their own, with every
kind of wrong clock."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from actors.core.errors import Unavailable
from actors.core.messages.commits import Position
from actors.core.messages.events import Event, StoredEvent, seal
from actors.core.settings import EventsSettings, Settings
from actors.core.times import rfc3339, to_us
from cluster.supervisor.upkeep.partitions import PartitionMaintenance, PostgresPartitions
from storage.events.events import PostgresEventStore
from storage.events.partitions import (
    PARTITIONS_AHEAD,
    day_of,
    drop_old,
    make_partitions,
    partition_name,
)
from storage.migrations import migrate
from storage.postgres.cameras import PostgresCameraStore
from storage.postgres.pool import Database
from storage.postgres.registry import PostgresRegistry
from tests.support.servers.store_fixtures import settings_of
from tests.support.servers.store_servers import postgres
from tests.support.store_rows import row_of, running
from tests.support.waiting import block_until

MARGIN = timedelta(minutes=1)  # longer than any of these tests takes


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(autouse=True)
def far_from_midnight() -> None:
    """The product takes the database's day, so a test that a midnight cuts in two would expect the
    wrong names: wait until it is over."""
    block_until(lambda: (now() + MARGIN).date() == now().date(), "midnight being over", within_s=90)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as (_, dsn):
        yield dsn


@pytest.fixture
async def database(server: str) -> AsyncIterator[Database]:
    """A fresh database, migrated."""
    connection = await asyncpg.connect(server)
    await connection.execute("DROP DATABASE IF EXISTS fresh WITH (FORCE)")
    await connection.execute("CREATE DATABASE fresh")
    await connection.close()
    settings: Settings = settings_of(server.replace("/postgres?", "/fresh?"), "")
    await migrate(settings)
    opened = await Database.open(settings.postgres, name="test", size=3)
    yield opened
    await opened.close()


def at(
    camera: str, position: Position, number: int, received: datetime, captured: datetime
) -> StoredEvent:
    """An event received and captured at these times, chained to the position only when it is the
    first after it."""
    offset = position.last_offset + number
    event = Event(
        id=f"{camera}/{position.epoch}/{offset}",
        type="zone.entered",
        site="site",
        camera=camera,
        epoch=position.epoch,
        offset=offset,
        session=position.session,
        seq=offset,
        time=rfc3339(to_us(captured)),
        received=rfc3339(to_us(received)),
        severity="info",
    )
    return seal(event, position.chain, received_us=to_us(received), time_us=to_us(captured))


async def store(
    database: Database, camera: str, moments: list[tuple[datetime, datetime]]
) -> Position:
    """One event for each (received, captured); the position after them."""
    cameras = PostgresCameraStore(database)
    generation, position = (await running(PostgresRegistry(database), cameras, [camera]))[camera]
    for received, captured in moments:
        row = row_of(
            camera, generation, position, events=[at(camera, position, 1, received, captured)]
        )
        assert await cameras.commit([row]) == {camera}
        position = row.after
    return position


async def partitions(database: Database) -> dict[str, int]:
    """Partition → events in it, where there are any."""
    rows = await database.fetch(
        "SELECT tableoid::regclass::text AS name, count(*) AS events FROM events GROUP BY 1"
    )
    return {row["name"]: row["events"] for row in rows}


def name(days: int) -> str:
    return partition_name((now() + timedelta(days=days)).date())


async def days_exist(database: Database, first: int, last: int) -> None:
    """Make day partitions in the past, as a database has them that has run for long."""
    for days in range(first, last + 1):
        day = datetime.combine((now() + timedelta(days=days)).date(), datetime.min.time(), UTC)
        await database.fetch(
            f"CREATE TABLE IF NOT EXISTS {name(days)} PARTITION OF events FOR VALUES FROM "
            f"('{day}') TO ('{day + timedelta(days=1)}')"
        )


async def test_a_cameras_clock_decides_nothing(database: Database) -> None:
    """Captured in 1970, 2199 and today, received today: one partition, and nothing outside."""
    moments = [datetime(1970, 1, 2, tzinfo=UTC), datetime(2199, 12, 31, tzinfo=UTC), now()]
    await store(database, "cam-1", [(now(), captured) for captured in moments])
    assert await partitions(database) == {name(0): 3}
    assert (await make_partitions(database)).default_rows == 0
    report = await drop_old(database, 1)
    assert report.events == 0
    assert await partitions(database) == {name(0): 3}


async def test_a_hubs_clock_that_is_days_off_raises_the_alarm_and_loses_nothing(
    database: Database,
) -> None:
    """A hub stamps the receiving: far ahead and far behind it has no partition, which is told and
    kept."""
    await store(
        database,
        "cam-1",
        [(now() + timedelta(days=40), now()), (now() - timedelta(days=40), now()), (now(), now())],
    )
    assert await partitions(database) == {name(0): 1, "events_default": 2}
    assert await PostgresEventStore(database).homeless() == 2
    maintenance = PartitionMaintenance(PostgresPartitions(database), EventsSettings())
    await maintenance.round()
    assert maintenance.status()["default_rows"] == 2
    assert len(await PostgresEventStore(database).latest("cam-1", 10)) == 3


async def test_whole_days_are_dropped_with_a_receipt_and_a_mark(database: Database) -> None:
    await days_exist(database, -10, -2)
    moments = [(now() + timedelta(days=days), now()) for days in (-9, -9, -5, -3, -2, -1, 0)]
    position = await store(database, "cam-1", moments)
    await store(database, "cam-2", [(now() + timedelta(days=-8), now())])
    dry = await drop_old(database, 3, dry=True)
    assert sum((await partitions(database)).values()) == 8
    report = await drop_old(database, 3)
    assert [(one.partition, one.events) for one in dry.dropped] == [
        (one.partition, one.events) for one in report.dropped
    ]
    assert {one.partition: one.events for one in report.dropped if one.events} == {
        name(-9): 2,
        name(-8): 1,
        name(-5): 1,
    }
    assert (report.events, dry.dry, report.dry) == (4, True, False)
    assert await partitions(database) == {name(-3): 1, name(-2): 1, name(-1): 1, name(0): 1}
    left = await PostgresEventStore(database).after("cam-1", position.epoch, 0, 100)
    assert [row.offset for row in left] == [4, 5, 6, 7]
    marks = await database.fetch(
        'SELECT camera, "offset", hash FROM event_horizons ORDER BY camera'
    )
    assert [(mark["camera"], mark["offset"]) for mark in marks] == [("cam-1", 3), ("cam-2", 1)]
    assert (await drop_old(database, 3)).dropped == []


async def test_what_is_old_outside_the_days_goes_too(database: Database) -> None:
    await store(
        database,
        "cam-1",
        [(now() - timedelta(days=40), now()), (now() + timedelta(days=40), now()), (now(), now())],
    )
    report = await drop_old(database, 30)
    assert [(one.partition, one.events) for one in report.dropped] == [("events_default", 1)]
    assert await partitions(database) == {name(0): 1, "events_default": 1}


async def test_zero_days_keep_everything(database: Database) -> None:
    await days_exist(database, -400, -400)
    await store(database, "cam-1", [(now() - timedelta(days=400), now())])
    assert (await drop_old(database, 0)).dropped == []
    assert sum((await partitions(database)).values()) == 1


async def test_yesterday_is_never_dropped_and_made_again(database: Database) -> None:
    """The shortest retention and the partitions made ahead do not work against each other."""
    assert (await drop_old(database, 1)).dropped == []
    assert (await make_partitions(database)).made == []


async def test_many_keepers_at_once_make_each_day_once(database: Database) -> None:
    names = [
        row[0]
        for row in await database.fetch(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass"
        )
    ]
    for partition in names:
        if day_of(partition) is not None:
            await database.fetch(f"DROP TABLE {partition}")
    several = [
        PartitionMaintenance(PostgresPartitions(database), EventsSettings(keep_days=2))
        for _ in range(3)
    ]
    await asyncio.gather(*(maintenance.round() for maintenance in several))
    assert [maintenance.status()["trouble"] for maintenance in several] == ["", "", ""]
    made = {partition for maintenance in several for partition in maintenance.status()["made"]}
    assert made == {name(days) for days in range(-1, PARTITIONS_AHEAD + 1)}


async def test_a_drop_does_not_queue_everybody_behind_a_reader(database: Database) -> None:
    await days_exist(database, -10, -10)
    await store(database, "cam-1", [(now() - timedelta(days=10), now()), (now(), now())])
    async with database.transaction(readonly=True) as reading:
        assert await reading.fetchval("SELECT count(*) FROM events") == 2
        with pytest.raises(Unavailable):
            await drop_old(database, 5)
    assert await partitions(database) == {name(-10): 1, name(0): 1}
    assert (await drop_old(database, 5)).events == 1


@pytest.mark.parametrize("keep_days", [1, 2, 3])
async def test_the_day_before_those_to_keep_is_dropped_and_the_first_of_them_is_not(
    database: Database, keep_days: int
) -> None:
    await days_exist(database, -6, -1)
    report = await drop_old(database, keep_days)
    assert [one.partition for one in report.dropped] == sorted(
        name(-days) for days in range(keep_days + 1, 7)
    )
