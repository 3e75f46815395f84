"""Day partitions made while events flow: at midnight, with a full default partition, past a day
that cannot be made."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from actors.core.errors import Unavailable
from actors.core.messages.commits import Position
from actors.core.settings import EventsSettings
from cluster.supervisor.upkeep.partitions import RETRY_S, PartitionMaintenance, PostgresPartitions
from storage.events.partitions import TRY_S, PartitionReport, make_partitions, partition_name
from storage.migrations import migrate
from storage.postgres.cameras import PostgresCameraStore
from storage.postgres.pool import Database
from storage.postgres.registry import PostgresRegistry
from tests.support.servers.store_fixtures import settings_of
from tests.support.servers.store_servers import postgres
from tests.support.store_rows import event_of, row_of, running
from tests.support.waiting import until

CAMERAS = [f"cam-{n}" for n in range(4)]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as (_, dsn):
        yield dsn


@pytest.fixture
async def database(server: str) -> AsyncIterator[Database]:
    connection = await asyncpg.connect(server)
    await connection.execute("DROP DATABASE IF EXISTS load WITH (FORCE)")
    await connection.execute("CREATE DATABASE load")
    await connection.close()
    settings = settings_of(server.replace("/postgres?", "/load?"), "")
    await migrate(settings)
    opened = await Database.open(settings.postgres, name="test", size=len(CAMERAS) + 2)
    yield opened
    await opened.close()


class Committers:
    """One task per camera commits an event at a time, received alternately at the given moments;
    stores how long the slowest took."""

    def __init__(self, database: Database, moments: list[datetime]) -> None:
        self._store = PostgresCameraStore(database)
        self._registry = PostgresRegistry(database)
        self._moments = moments
        self.committed = 0
        self.repeated = 0
        self.slowest_s = 0.0
        self.ending = False

    async def run(self) -> None:
        """Commit until `ending`."""
        rows = await running(self._registry, self._store, CAMERAS)
        async with asyncio.TaskGroup() as group:
            for camera, (generation, position) in rows.items():
                group.create_task(self._one(camera, generation, position))

    async def _one(self, camera: str, generation: int, position: Position) -> None:
        at, loop = position, asyncio.get_running_loop()
        while not self.ending:
            received = self._moments[self.committed % len(self._moments)]
            row = row_of(
                camera,
                generation,
                at,
                events=[event_of(camera, at, received_us=int(received.timestamp() * 1_000_000))],
            )
            began = loop.time()
            try:
                assert await self._store.commit([row]) == {camera}
            except Unavailable:  # nothing was stored: an actor commits it again
                self.repeated += 1
                continue
            self.slowest_s = max(self.slowest_s, loop.time() - began)
            self.committed += 1
            at = row.after


async def drop_day(database: Database, day: date) -> None:
    """As a database is whose supervisor was away for days."""
    await database.fetch(f"DROP TABLE {partition_name(day)}")


async def per_table(database: Database) -> dict[str, int]:
    rows = await database.fetch(
        "SELECT tableoid::regclass::text AS name, count(*) AS events FROM events GROUP BY 1"
    )
    return {row["name"]: row["events"] for row in rows}


async def made_under_load(
    database: Database, moments: list[datetime]
) -> tuple[PartitionReport, Committers]:
    load = Committers(database, moments)
    running_load = asyncio.create_task(load.run())
    try:
        await until(lambda: load.committed > 50 or running_load.done(), what="events flowing")
        report = await make_partitions(database)
        before = load.committed
        await until(
            lambda: load.committed > before + 50 or running_load.done(), what="events still flowing"
        )
    finally:
        load.ending = True
        await running_load
    return report, load


async def test_todays_partition_is_made_while_events_flow_into_it(database: Database) -> None:
    now = datetime.now(UTC)
    await drop_day(database, now.date())
    report, load = await made_under_load(database, [now])
    assert report == PartitionReport([partition_name(now.date())], 0, {})
    assert await per_table(database) == {partition_name(now.date()): load.committed}


async def test_both_sides_of_midnight_find_their_day(database: Database) -> None:
    """The last microsecond of a day and the first of the next, while both days are missing."""
    midnight = datetime.combine(
        (datetime.now(UTC) + timedelta(days=2)).date(), datetime.min.time(), UTC
    )
    moments = [midnight - timedelta(microseconds=1), midnight]
    for moment in moments:
        await drop_day(database, moment.date())
    report, load = await made_under_load(database, moments)
    assert (sorted(report.made), report.default_rows) == (
        [partition_name(moment.date()) for moment in moments],
        0,
    )
    found = await per_table(database)
    assert set(found) == {partition_name(moment.date()) for moment in moments}
    assert sum(found.values()) == load.committed


async def test_a_full_default_partition_is_moved_home_while_events_flow(database: Database) -> None:
    """200,000 events of a day without a partition, and as many of a clock that is years off, which
    stay."""
    now = datetime.now(UTC)
    await drop_day(database, now.date())
    fill = """
        INSERT INTO events (camera, epoch, "offset", received, time, type, severity, site, session, seq, body, hash)
        SELECT 'filler', 'e', n, $1, $1, 'zone.entered', 'info', 'site', 's', n, '{}', '' FROM generate_series($2::bigint, $3) AS n"""  # noqa: E501
    await database.fetch(fill, now, 1, 200_000)
    await database.fetch(fill, now + timedelta(days=4000), 200_001, 400_000)
    report, load = await made_under_load(database, [now])
    assert report == PartitionReport([partition_name(now.date())], 200_000, {})
    assert await per_table(database) == {
        partition_name(now.date()): 200_000 + load.committed,
        "events_default": 200_000,
    }


async def test_commits_wait_for_one_try_while_a_reader_holds_the_default_partition(
    database: Database,
) -> None:
    """Who asks for the lock holds up whoever comes later, so it asks in short tries; the day is
    made once the reader is gone."""
    now = datetime.now(UTC)
    await drop_day(database, now.date())
    load = Committers(database, [now])
    running_load = asyncio.create_task(load.run())
    await until(lambda: load.committed > 20 or running_load.done(), what="events flowing")
    async with database.transaction(readonly=True) as reading:
        await reading.fetchval("SELECT count(*) FROM events_default")
        making = asyncio.create_task(make_partitions(database))
        waits = (
            "SELECT count(*) FROM pg_locks WHERE relation = 'events_default'::regclass AND "
            "mode = 'AccessExclusiveLock' AND NOT granted"
        )
        seen = 0
        for _ in range(2):  # a second try means that the first gave up
            async with asyncio.timeout(20):
                while await reading.fetchval(waits) == 0:
                    await asyncio.sleep(0.005)
                seen += 1
                while await reading.fetchval(waits) > 0:
                    await asyncio.sleep(0.005)
        before = load.committed
        await until(
            lambda: load.committed > before or running_load.done(), what="commits between the tries"
        )
    report = await making
    load.ending = True
    await running_load
    assert (report.made, report.default_rows, seen) == ([partition_name(now.date())], 0, 2)
    assert load.slowest_s < 10 * TRY_S


async def test_a_day_that_cannot_be_made_does_not_stop_the_next(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody's table has the name of today; the days after it are made, the trouble is told, and
    it is tried again soon."""
    today = datetime.now(UTC).date()
    await drop_day(database, today)
    await drop_day(database, today + timedelta(days=1))
    await database.fetch(f"CREATE TABLE {partition_name(today)} (mine int)")
    maintenance = PartitionMaintenance(PostgresPartitions(database), EventsSettings())
    assert await maintenance.round() <= RETRY_S
    assert maintenance.status()["made"] == [partition_name(today + timedelta(days=1))]
    assert (
        f"{partition_name(today)} cannot be made: DuplicateTableError"
        in maintenance.status()["trouble"]
    )
    assert "cannot be made" in caplog.text
    await database.fetch(f"DROP TABLE {partition_name(today)}")
    assert await maintenance.round() > RETRY_S
    assert (maintenance.status()["made"], maintenance.status()["trouble"]) == (
        [partition_name(today)],
        "",
    )
