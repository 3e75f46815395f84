"""Retention of dead letters and of sessions that are over, on a PostgreSQL of their own (attack 11:
nothing that a device sends stays for ever)."""

import time
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from actors.core.settings import DeadLettersSettings, SessionsSettings
from cluster.supervisor.upkeep.row_retention import ROUND_S, RowRetention
from storage.migrations import migrate
from storage.ports.dead_letters import NewLetter
from storage.postgres.cameras import PostgresCameraStore
from storage.postgres.dead_letters import PostgresDeadLetterStore
from storage.postgres.pool import Database
from storage.postgres.registry import PostgresRegistry
from storage.postgres.row_retention import LETTERS, Forgotten, forget
from tests.support.servers.store_fixtures import settings_of
from tests.support.servers.store_servers import postgres

DAY_US = 86_400_000_000
MIB = 1_048_576


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
    settings = settings_of(server.replace("/postgres?", "/fresh?"), "")
    await migrate(settings)
    opened = await Database.open(settings.postgres, name="test", size=2)
    yield opened
    await opened.close()


def letter(raw: bytes = b"{", *, days: float = 0.0) -> NewLetter:
    return NewLetter(
        "cam-1", "", "bad_input", "why", raw, time.time_ns() // 1000 - int(days * DAY_US)
    )


async def test_old_letters_go_and_young_ones_stay(database: Database) -> None:
    store = PostgresDeadLetterStore(database)
    await store.add_many([letter(days=31)] * (LETTERS + 5))
    young = await store.add_many([letter(days=29), letter()])
    assert await forget(
        database, DeadLettersSettings(keep_days=0), SessionsSettings()
    ) == Forgotten(0, 0, 0)
    assert await forget(database, DeadLettersSettings(), SessionsSettings()) == Forgotten(
        LETTERS + 5, 0, 0
    )
    assert [one.id for one in await store.list()] == young


async def test_the_oldest_letters_go_where_they_take_too_much_room(database: Database) -> None:
    store = PostgresDeadLetterStore(database)
    noise = [bytes((n * 7919 + i * i * 31) % 251 for i in range(4096)) for n in range(8)]
    for round_of in range(50):
        await store.add_many([letter(raw + bytes([round_of])) for raw in noise])
    await database.fetch(
        "ALTER TABLE dead_letters ALTER COLUMN raw SET STORAGE EXTERNAL", writing=True
    )  # what is written next: as long as it is
    ids = await store.add_many([letter(bytes(60_000)) for _ in range(40)])
    gone = await forget(database, DeadLettersSettings(keep_mb=1), SessionsSettings())
    left = [one.id for one in await store.list()]
    assert left == ids[-len(left) :], "the newest stay"
    assert 0.9 * MIB < len(left) * 60_000 <= MIB
    assert gone == Forgotten(0, 440 - len(left), 0)


async def test_sessions_that_are_over_are_forgotten_and_the_newest_never(
    database: Database,
) -> None:
    registry, cameras = PostgresRegistry(database), PostgresCameraStore(database)
    for camera in ("cam-1", "cam-2"):
        await registry.register(camera, "north")
        assert await cameras.assign(camera, "owner", previous=None)
    taken = {
        one.camera: one.generation for one in await cameras.activate("owner", ["cam-1", "cam-2"])
    }
    for number in range(6):
        assert (
            await cameras.open_session("cam-1", "owner", taken["cam-1"], f"s{number}") == "opened"
        )
    assert await cameras.open_session("cam-2", "owner", taken["cam-2"], "only") == "opened"
    await database.fetch(
        "UPDATE sessions SET first_hello = now() - interval '200 days' WHERE session IN ('s0', "
        "'s1', 'only')",
        writing=True,
    )

    async def known() -> list[str]:
        return [
            row[0]
            for row in await database.fetch("SELECT session FROM sessions ORDER BY camera, ordinal")
        ]

    assert await forget(database, DeadLettersSettings(), SessionsSettings()) == Forgotten(0, 0, 1)
    assert await known() == ["s1", "s2", "s3", "s4", "s5", "only"], "s1 was over only when s2 began"
    assert await forget(
        database, DeadLettersSettings(), SessionsSettings(keep_per_camera=2)
    ) == Forgotten(0, 0, 3)
    assert await known() == ["s4", "s5", "only"]
    assert await cameras.open_session("cam-1", "owner", taken["cam-1"], "s4") == "superseded"
    assert await cameras.open_session("cam-1", "owner", taken["cam-1"], "s6") == "opened"
    assert [
        row[0]
        for row in await database.fetch("SELECT max(ordinal) FROM sessions WHERE camera = 'cam-1'")
    ] == [7]


async def test_a_session_is_opened_as_fast_after_many_as_after_few(database: Database) -> None:
    registry, cameras = PostgresRegistry(database), PostgresCameraStore(database)
    await registry.register("cam-1", "north")
    await database.fetch(
        "INSERT INTO sessions SELECT 'cam-1', 'old-' || n, n FROM generate_series(1, 20000) n",
        writing=True,
    )
    plan = "EXPLAIN (ANALYZE, FORMAT JSON) SELECT max(ordinal) FROM sessions WHERE camera = 'cam-1'"
    assert "sessions_by_ordinal" in (await database.fetch_value(plan))
    assert await cameras.assign("cam-1", "owner", previous=None)
    (taken,) = await cameras.activate("owner", ["cam-1"])
    assert await cameras.open_session("cam-1", "owner", taken.generation, "next") == "opened"
    assert (
        await database.fetch_value("SELECT ordinal FROM sessions WHERE session = 'next'") == 20_001
    )


async def test_the_keeper_runs_its_rounds_and_tells(database: Database) -> None:
    await PostgresDeadLetterStore(database).add_many([letter(days=40)])
    retention = RowRetention(
        lambda: forget(database, DeadLettersSettings(), SessionsSettings()), chance=lambda: 1.0
    )
    assert await retention.round() == ROUND_S
    assert retention.status() == {
        "old_letters": 1,
        "large_letters": 0,
        "sessions": 0,
        "trouble": "",
    }
