"""Workers that are killed, stopped for two leases and cut off from PostgreSQL: the ledger shows
every effect once and every lane in order; stores without the fence or without lanes are caught."""

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from storage.migrations import migrate
from storage.ports.background.jobs import ClaimedJob, FinishedJob, NewJob
from storage.postgres.background.jobs import PostgresJobStore
from storage.postgres.pool import Database
from tests.support.servers.store_fixtures import settings_of
from tests.support.servers.store_servers import Server, postgres
from tests.support.workers import ledger
from workers.kinds import RunningJob

LEASE_S = 0.6
DEADLINE_S = 90.0


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Server, str]]:
    with postgres() as found:
        yield found


@pytest.fixture
async def database(server: tuple[Server, str]) -> AsyncIterator[tuple[Database, str]]:
    """A fresh database with a ledger, and its address."""
    connection = await asyncpg.connect(server[1])
    await connection.execute("DROP DATABASE IF EXISTS fresh WITH (FORCE)")
    await connection.execute("CREATE DATABASE fresh")
    await connection.close()
    dsn = server[1].replace("/postgres?", "/fresh?")
    settings = settings_of(dsn, "")
    await migrate(settings)
    database = await Database.open(settings.postgres, name="nemesis", size=4)
    await database.fetch(ledger.TABLE, writing=True)
    yield database, dsn
    await database.close()


class Workers:
    """Processes of workers; what dies is started again under another name."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._started = 0
        self.processes: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        self._started += 1
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.support.workers.ledger", self._dsn, f"w-{self._started}", str(LEASE_S)),
        )
        self.processes.append(process)

    async def kill(self, chance: random.Random) -> None:
        process = chance.choice(self.processes)
        process.kill()
        await process.wait()
        self.processes.remove(process)
        await self.start()

    async def stop_for(self, leases: float, chance: random.Random) -> None:
        process = chance.choice(self.processes)
        process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.wait_for(asyncio.Event().wait(), leases * LEASE_S)
        except TimeoutError:
            process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def workers(dsn: str, count: int) -> AsyncIterator[Workers]:
    running = Workers(dsn)
    try:
        for _ in range(count):
            await running.start()
        yield running
    finally:
        for process in running.processes:
            process.kill()
            await process.wait()


async def effects(database: Database) -> int:
    return int(await database.fetch_value("SELECT count(*) FROM ledger"))


async def until_done(database: Database, count: int) -> None:
    async with asyncio.timeout(DEADLINE_S * max(1.0, count / 1_000)):
        while await database.fetch_value("SELECT count(*) FROM job_log") < count:
            await asyncio.sleep(0.05)


async def cut(database: Database) -> None:
    """Every connection of the workers ends, whatever it was doing."""
    await database.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'w-%'"
    )


@pytest.mark.parametrize(
    ("count", "lanes", "rounds"),
    [
        (150, 7, 1),
        pytest.param(10_000, 40, 12, marks=[pytest.mark.prove, pytest.mark.timeout(900)]),
    ],
    ids=["some", "ten thousand"],
)
async def test_every_effect_happens_once_and_lanes_keep_their_order(
    database: tuple[Database, str], count: int, lanes: int, rounds: int
) -> None:
    store_of, dsn = database
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    store = PostgresJobStore(store_of)
    await store.enqueue(ledger.jobs(count, lanes))  # all due at once
    async with workers(dsn, 2) as running:
        for _ in range(rounds):
            before = await effects(store_of)
            while await effects(store_of) < min(before + 20, 2 * count):
                await asyncio.sleep(0.02)
            await running.stop_for(2.0, chance)
            await cut(store_of)
            await running.kill(chance)
        await until_done(store_of, count)
    assert ledger.faults(await ledger.read(store_of), count) == [], f"seed {seed}"
    assert {row.state for row in await store.list(limit=count)} == {"done"}


@pytest.mark.parametrize("mutant", [False, True], ids=["as it is", "without generation"])
async def test_the_generation_keeps_a_late_worker_from_its_effects(
    database: tuple[Database, str], mutant: bool
) -> None:
    """A worker is stopped in its first step; another does that step; the first goes on."""
    store = (ledger.without_generation if mutant else PostgresJobStore)(database[0])
    await store.enqueue(ledger.jobs(1, 1))
    (late,) = await claim_head(store, "w-1", lease_s=-1)
    await store.sweep(10)
    (second,) = await claim_head(store, "w-2", lease_s=60)
    for running in (RunningJob(second, store), RunningJob(late, store)):
        done = await store.note(
            running.job.claim,
            {"steps": ["first"]},
            ledger.write(running, "first", "w-1 or w-2"),
        )
        assert done is (running.job is second or mutant)
    await store.note(second.claim, {}, ledger.write(RunningJob(second, store), "second", "w-2"))
    found = ledger.faults(await ledger.read(database[0]), 1)
    assert found == (["step first of job 0 happened 2 times"] if mutant else [])


@pytest.mark.parametrize("mutant", [False, True], ids=["as it is", "without lanes"])
async def test_a_lane_keeps_a_second_job_from_the_first_ones_time(
    database: tuple[Database, str], mutant: bool
) -> None:
    """Whoever claims all he can and works from the back."""
    store = (ledger.without_lanes if mutant else PostgresJobStore)(database[0])
    if mutant:
        await database[0].fetch("DROP INDEX jobs_running_lane", writing=True)
    count = 3
    await store.enqueue([NewJob(ledger.KIND, lane="a", args={"n": n}) for n in range(count)])
    left = count
    while left:
        jobs = await store.claim("w-1", [ledger.KIND], limit=9, lease_s=60)
        jobs += await claim_head(store, "w-1", lease_s=60)
        assert jobs
        for job in reversed(jobs):
            running = RunningJob(job, store)
            for step in ledger.STEPS:
                await running.note({"steps": [step]}, ledger.write(running, step, "w-1"))
            left -= len(await store.finish([FinishedJob(job.claim)]))
    found = ledger.faults(await ledger.read(database[0]), count)
    assert found == (["the effects of a are out of order"] if mutant else [])


async def test_the_table_itself_refuses_a_second_running_job_of_a_lane(
    database: tuple[Database, str],
) -> None:
    store = PostgresJobStore(database[0])
    await store.enqueue(ledger.jobs(2, 1))
    with pytest.raises(asyncpg.UniqueViolationError):
        async with database[0].connection() as connection:
            await connection.execute("UPDATE jobs SET state = 'running'")


async def claim_head(store: PostgresJobStore, name: str, *, lease_s: float) -> list[ClaimedJob]:
    jobs, _ = await store.claim_lanes(
        name, [ledger.KIND], limit=1, lease_s=lease_s, after="", look=10
    )
    return jobs
