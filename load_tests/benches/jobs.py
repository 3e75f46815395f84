"""Jobs claimed and completed per second by a worker, next to the same statements in a plain loop.

Both work on the same PostgreSQL (of the bench's own, as durable as the product's), in the same
batches; slices alternate and the median counts. A third figure is of jobs in lanes. Where pgqueuer
is installed (`make peers`) it drains as many jobs in the same run: enqueued by its own call,
carried out by its own manager.
"""

import asyncio
import time

from actors.core.errors import StartError
from actors.core.settings import Settings
from load_tests.benches import jobs_peer
from load_tests.harness.private_postgres import private_postgres
from load_tests.harness.results import Measured, spread
from storage.migrations import migrate
from storage.ports.background.jobs import ClaimedJob, FinishedJob, NewJob, Values
from storage.postgres.background.jobs import PostgresJobStore
from storage.postgres.pool import Database
from workers.kinds import JobKind, RunningJob, by_name
from workers.worker import Worker, WorkerLimits

JOBS = 2_000  # of one slice
LANES = 100
SLICES = 5
BATCH = 32  # jobs of one claim
LEASE_S = 60.0
CONNECTIONS = 3
KIND = "bench"


def run(seed: int) -> Measured:
    """The whole bench, about a minute. `seed` is taken for uniformity: nothing in it is random."""
    with private_postgres() as settings:
        return asyncio.run(_measure(settings, seed))


async def _measure(settings: Settings, seed: int) -> Measured:
    await migrate(settings)
    database = await Database.open(settings.postgres, name="bench", size=CONNECTIONS)
    store = PostgresJobStore(database)
    made, worked, plain = list[float](), list[float](), list[float]()
    in_lanes, lanes_plain, peer = list[float](), list[float](), list[float]()
    try:
        for _ in range(SLICES):
            made.append(await _enqueue(store, lanes=0))
            worked.append(await _worker(store))
            await _enqueue(store, lanes=0)
            plain.append(await _loop(store, lanes=False))
            await _enqueue(store, lanes=LANES)
            in_lanes.append(await _worker(store))
            await _enqueue(store, lanes=LANES)
            lanes_plain.append(await _loop(store, lanes=True))
            if jobs_peer.installed():
                peer.append(await jobs_peer.drain(settings.postgres.dsn, JOBS, BATCH))
    finally:
        await database.close()
    figures: dict[str, object] = {
        "seed": seed,
        "jobs": JOBS,
        "batch": BATCH,
        "lanes": LANES,
        "enqueued_per_s": spread(made),
        "jobs_per_s": spread(worked),
        "jobs_in_lanes_per_s": spread(in_lanes),
    }
    floor: dict[str, object] = {
        "statements_per_s": spread(plain),
        "statements_in_lanes_per_s": spread(lanes_plain),
        "pgqueuer_per_s": spread(peer) if peer else "absent",
    }
    ratios = {
        "jobs_vs_statements": _ratio(worked, plain),
        "jobs_in_lanes_vs_statements": _ratio(in_lanes, lanes_plain),
    }
    if peer:
        ratios["jobs_vs_pgqueuer"] = _ratio(worked, peer)
    return Measured(figures, floor, ratios)


def _ratio(ours: list[float], theirs: list[float]) -> float:
    return spread([a / b for a, b in zip(ours, theirs, strict=True)]).median


async def _enqueue(store: PostgresJobStore, *, lanes: int) -> float:
    """Jobs per second."""
    jobs = [NewJob(KIND, lane=f"lane-{n % lanes}" if lanes else "") for n in range(JOBS)]
    began = time.perf_counter()
    await store.enqueue(jobs)
    return JOBS / (time.perf_counter() - began)


async def _loop(store: PostgresJobStore, *, lanes: bool) -> float:
    """The plain loop: one claim, one completion of all that it gave, until there is no more."""
    done, after = 0, ""
    began = time.perf_counter()
    while True:
        jobs: list[ClaimedJob]
        if lanes:
            jobs, after = await store.claim_lanes(
                "loop", [KIND], limit=BATCH, lease_s=LEASE_S, after=after, look=200
            )
        else:
            jobs = await store.claim("loop", [KIND], limit=BATCH, lease_s=LEASE_S)
        if not jobs and not after:
            break
        done += len(await store.finish([FinishedJob(job.claim) for job in jobs]))
    _all(done)
    return JOBS / (time.perf_counter() - began)


async def _worker(store: PostgresJobStore) -> float:
    """A worker as the product runs it, from its first claim to its last stored end."""
    over = asyncio.Event()
    left = JOBS

    async def work(_job: RunningJob) -> Values | None:
        nonlocal left
        left -= 1
        if not left:
            over.set()
        return None

    limits = WorkerLimits(jobs=BATCH, lease_s=LEASE_S)
    worker = Worker("worker", store, by_name([JobKind(KIND, work)]), limits)
    began = time.perf_counter()
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(LEASE_S):
        await over.wait()
        await worker.drain(LEASE_S)
    took = time.perf_counter() - began
    await running
    _all(worker.counts.ends["done"])
    return JOBS / took


def _all(done: int) -> None:
    if done != JOBS:
        raise StartError(f"{done} of {JOBS} jobs were completed")
