"""Migrations and partitions against a PostgreSQL of their own."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import asyncpg
import msgspec
import pytest

from actors.core.errors import ConfigError, Unavailable
from actors.core.settings import Settings
from storage import migrations
from storage.events.partitions import PARTITIONS_AHEAD, make_partitions, partition_name, wanted_days
from storage.migrations import Migration, known, migrate
from storage.postgres.pool import Database
from storage.stores import open_stores
from tests.support.servers.store_fixtures import settings_of
from tests.support.servers.store_servers import postgres
from tests.support.store_rows import event_of, row_of, running


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as (_, dsn):
        yield dsn


@pytest.fixture
async def settings(server: str) -> Settings:
    """Settings for a database that does not exist in any version yet."""
    connection = await asyncpg.connect(server)
    await connection.execute("DROP DATABASE IF EXISTS fresh WITH (FORCE)")
    await connection.execute("CREATE DATABASE fresh")
    await connection.close()
    return settings_of(server.replace("/postgres?", "/fresh?"), "")


async def test_every_migration_once_whoever_starts_first(settings: Settings) -> None:
    results = await asyncio.gather(*(migrate(settings) for _ in range(4)))
    assert sorted(name for names in results for name in names) == [
        migration.name for migration in known()
    ]
    assert await migrate(settings) == []


async def test_a_changed_file_is_refused_by_name(settings: Settings) -> None:
    await migrate(settings)
    changed = [known()[0], msgspec.structs.replace(known()[1], sql="SELECT 1"), *known()[2:]]
    with pytest.raises(ConfigError, match=r"0002_positions"):
        await migrate(settings, migrations=changed)


async def test_a_failing_migration_leaves_nothing_and_can_be_tried_again(
    settings: Settings,
) -> None:
    broken = [
        *known(),
        Migration("0099_broken", "CREATE TABLE half (x int); SELECT no_such_function()"),
    ]
    with pytest.raises(ConfigError):
        await migrate(settings, migrations=broken)
    database = await Database.open(settings.postgres, name="look")
    assert await database.fetch_value("SELECT to_regclass('half')") is None
    await database.close()
    assert await migrate(
        settings, migrations=[*known(), Migration("0099_broken", "CREATE TABLE half (x int)")]
    ) == ["0099_broken"]


async def test_a_migration_does_not_queue_the_others_behind_its_lock(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(settings)
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT_S", 0.05)
    monkeypatch.setattr(migrations, "LOCK_TRIES", 2)
    database = await Database.open(settings.postgres, name="holder")
    alter = [*known(), Migration("0099_alter", "ALTER TABLE positions ADD COLUMN more text")]
    async with database.transaction() as holding:
        await holding.execute("SELECT count(*) FROM positions")
        with pytest.raises(Unavailable, match=r"0099_alter"):
            await migrate(settings, migrations=alter)
    assert await migrate(settings, migrations=alter) == ["0099_alter"]
    await database.close()


async def test_a_newer_database_is_left_alone(settings: Settings) -> None:
    await migrate(settings, migrations=[*known(), Migration("0099_later", "SELECT 1")])
    assert await migrate(settings) == []


async def test_partitions_are_made_ahead(settings: Settings) -> None:
    await migrate(settings)
    database = await Database.open(settings.postgres, name="partitions")
    report = await make_partitions(database, PARTITIONS_AHEAD + 2)
    today = datetime.now(UTC).date()
    assert report.made == [
        partition_name(today + timedelta(days=PARTITIONS_AHEAD + n)) for n in (1, 2)
    ]
    assert report.default_rows == 0
    assert (await make_partitions(database)).made == []
    await database.close()


async def test_events_without_a_partition_are_kept_told_and_moved_home(
    settings: Settings, servers_redis: str
) -> None:
    await migrate(settings)
    stores = await open_stores(
        msgspec.structs.replace(settings, redis=settings_of("", servers_redis).redis), name="test"
    )
    generation, position = (await running(stores.registry, stores.cameras, ["cam-1"]))["cam-1"]
    day = datetime.now(UTC) + timedelta(days=PARTITIONS_AHEAD + 1)
    event = event_of("cam-1", position, received_us=int(day.timestamp() * 1_000_000))
    assert await stores.cameras.commit([row_of("cam-1", generation, position, events=[event])]) == {
        "cam-1"
    }
    assert (await make_partitions(stores.database)).default_rows == 1
    report = await make_partitions(stores.database, PARTITIONS_AHEAD + 1)
    assert (report.made, report.default_rows) == ([partition_name(day.date())], 0)
    assert (
        await stores.database.fetch_value(f"SELECT count(*) FROM {partition_name(day.date())}") == 1
    )
    assert [e.body for e in await stores.events.latest("cam-1", 5)] == [event.body]
    await stores.close()


def test_wanted_days_cross_a_month() -> None:
    days = [partition_name(day) for day in wanted_days(date(2026, 2, 28), 1)]
    assert days == ["events_20260228", "events_20260301", "events_20260227"], "today first"


async def test_updates_of_a_position_are_hot(settings: Settings, servers_redis: str) -> None:
    await migrate(settings)
    stores = await open_stores(
        msgspec.structs.replace(settings, redis=settings_of("", servers_redis).redis), name="test"
    )
    names = [f"cam-{n}" for n in range(20)]
    at = await running(stores.registry, stores.cameras, names)
    for _ in range(50):
        rows = [
            row_of(name, generation, position, snapshot=b"x" * 1024)
            for name, (generation, position) in at.items()
        ]
        assert await stores.cameras.commit(rows) == set(names)
        at = {row.camera: (row.generation, row.after) for row in rows}
    await stores.database.fetch("SELECT pg_stat_force_next_flush()")
    updated, hot = (
        await stores.database.fetch(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'positions'"
        )
    )[0]
    assert updated >= 1000
    assert hot / updated > 0.95
    await stores.close()
