"""However many jobs were done, what workers ask takes the same plans and reads as many pages."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from storage.migrations import migrate
from storage.ports.background.jobs import NewJob
from storage.postgres.background.jobs import PostgresJobStore
from storage.postgres.pool import Database
from storage.postgres.statements import sql
from tests.support.servers.store_fixtures import settings_of
from tests.support.servers.store_servers import postgres

READY, LANES = 300, 40
FEW = 1_000
MORE_PAGES = 12  # a statement may touch: deeper trees, pages that were begun
KINDS = ["mail"]

# statement → its arguments; none of them leaves anything changed
ASKED: dict[str, tuple[Any, ...]] = {
    "claim": ("w-1", KINDS, 20, 30.0),
    "claim_lanes": ("w-1", KINDS, 20, 30.0, "", 200),
    "finish": ([1, 2, 3], [0, 0, 0], ["done"] * 3, ["{}"] * 3),
    "fail": ([1, 2], [0, 0], ["no", "no"], [1.0, 1.0]),
    "renew": ([1, 2], [0, 0], 30.0),
    "note": (1, 0, "{}"),
    "sweep_leases": (100,),
    "sweep_deadlines": (100,),
    "put_away": (1, "dead", "discarded", "{}"),
    "ask_to_stop": (1,),
    "get": (1,),
    "list": (None, None, 2**62, 50),
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as (_, dsn):
        yield dsn


@pytest.fixture
async def database(server: str) -> AsyncIterator[Database]:
    """A fresh database, migrated, with some jobs to do."""
    connection = await asyncpg.connect(server)
    await connection.execute("DROP DATABASE IF EXISTS fresh WITH (FORCE)")
    await connection.execute("CREATE DATABASE fresh")
    await connection.close()
    settings = settings_of(server.replace("/postgres?", "/fresh?"), "", timeout_s=100)
    await migrate(settings)
    database = await Database.open(settings.postgres, name="plans")
    jobs = PostgresJobStore(database)
    await jobs.enqueue([NewJob("mail") for _ in range(READY)])
    await jobs.enqueue([NewJob("mail", lane=f"lane-{n % LANES}") for n in range(READY)])
    yield database
    await database.close()


async def explained(database: Database, name: str) -> tuple[list[str], int]:
    """The plan's nodes with their indexes, and how many pages were touched."""
    plan = await plan_of(database, name)
    found = sorted(
        " ".join(
            str(one[key]) for key in ("Node Type", "Relation Name", "Index Name") if key in one
        )
        for one in nodes(plan)
    )
    return found, plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


async def rows_read(database: Database, name: str) -> int:
    """How many rows the scans of tables met."""
    return sum(
        round(one["Actual Loops"] * (one["Actual Rows"] + one.get("Rows Removed by Filter", 0)))
        for one in nodes(await plan_of(database, name))
        if "Relation Name" in one and one["Node Type"].endswith("Scan")
    )


async def plan_of(database: Database, name: str) -> dict[str, Any]:
    """As it was carried out, and taken back."""
    async with database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        text = await connection.fetchval(
            f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {sql('jobs')[name]}", *ASKED[name]
        )
        await transaction.rollback()
    return dict(json.loads(text)[0]["Plan"])


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


async def done(database: Database, first: int, last: int) -> None:
    """Finished jobs of these numbers, as `finish` leaves them."""
    await database.fetch(
        "INSERT INTO job_log (id, kind, lane, key, args, state, run_at, attempt, max_attempts, "
        "owner, generation, progress, result, error, who, created, started) "
        "SELECT 1000000000 + n, 'mail', '', NULL, '{}', 'done', now(), 1, 8, 'w-1', 1, '{}', "
        "'{}', '', '', now(), now() FROM generate_series($1::int, $2::int) n",
        first,
        last,
        writing=True,
    )


@pytest.mark.parametrize(
    "count", [20_000, pytest.param(1_000_000, marks=pytest.mark.prove)], ids=["some", "a million"]
)
async def test_finished_jobs_change_no_plan(database: Database, count: int) -> None:
    await done(database, 1, FEW)
    await database.fetch("ANALYZE")
    before = {name: await explained(database, name) for name in ASKED}
    await done(database, FEW + 1, count)
    await database.fetch("ANALYZE")
    await explained(database, "list")  # the pages of the new index are known now
    for name, (plan, pages) in before.items():
        after, touched = await explained(database, name)
        assert after == plan, name
        assert not any(node.startswith("Seq Scan") for node in after), (name, after)
        assert touched <= pages + MORE_PAGES, (name, pages, touched)


async def test_a_claim_reads_what_it_takes_and_not_what_waits(database: Database) -> None:
    jobs = PostgresJobStore(database)
    await jobs.enqueue([NewJob("mail") for _ in range(5_000)])
    await jobs.enqueue([NewJob("mail", lane="lane-0") for _ in range(5_000)])
    await database.fetch("ANALYZE")
    assert await rows_read(database, "claim") <= 5 * 20
    assert await rows_read(database, "claim_lanes") <= 5 * LANES
