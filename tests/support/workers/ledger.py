"""A ledger of what jobs did, and the process of a worker that writes into it.

A job of kind `ledger` has two steps; each writes a row, together with the note that it is done. So
the ledger holds every effect once, and those of a lane in order, whatever happens to workers and
server. ``python -m tests.support.workers.ledger DSN NAME LEASE_S`` is a worker.
"""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from actors.core.settings import PostgresSettings
from storage.ports.background.jobs import NewJob, Values
from storage.ports.policy import Audit
from storage.postgres.background.jobs import PostgresJobStore
from storage.postgres.pool import Database
from storage.postgres.statements import sql
from workers.kinds import JobKind, RunningJob, by_name
from workers.retries import RetryPolicy
from workers.worker import Worker, WorkerLimits

KIND = "ledger"
STEPS = ("first", "second")
TABLE = (
    "CREATE TABLE IF NOT EXISTS ledger (place bigint GENERATED ALWAYS AS IDENTITY, "
    "job bigint, lane text, n int, step text, worker text)"
)
WRITE = "INSERT INTO ledger (job, lane, n, step, worker) VALUES ($1, $2, $3, $4, $5)"


def jobs(count: int, lanes: int, first: int = 0) -> list[NewJob]:
    """Numbered in their order, in lanes by turns; every fifth has none. They die of nothing."""
    return [
        NewJob(
            KIND, lane="" if n % 5 == 4 else f"lane-{n % lanes}", args={"n": n}, max_attempts=10**6
        )
        for n in range(first, first + count)
    ]


def write(job: RunningJob, step: str, worker: str) -> Audit:
    """The effect of one step."""
    arguments = (job.job.claim.id, job.job.lane, job.args["n"], step, worker)

    async def effect(connection: Any) -> None:
        await connection.execute(WRITE, *arguments)

    return effect


def kind(worker: str, chance: random.Random) -> JobKind:
    """Takes a few milliseconds a step, and fails now and then."""

    async def run(job: RunningJob) -> Values:
        for step in STEPS:

            async def work(step: str = step) -> Audit:
                await asyncio.sleep(chance.uniform(0, 0.01))
                if chance.random() < 0.02:
                    raise TimeoutError("by chance")
                return write(job, step, worker)

            await job.step(step, work)
        return {}

    return JobKind(KIND, run, RetryPolicy(base_s=0.01, longest_s=0.1))


async def read(database: Database) -> list[tuple[int, str, int, str]]:
    """(job, lane, n, step) in the order of the effects."""
    rows = await database.fetch("SELECT job, lane, n, step FROM ledger ORDER BY place")
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def faults(ledger: Sequence[tuple[int, str, int, str]], count: int) -> list[str]:
    """What the ledger says is wrong, in words; empty when all is well."""
    wrong = []
    effects = Counter((n, step) for _, _, n, step in ledger)
    for n in range(count):
        for step in STEPS:
            if effects[n, step] != 1:
                wrong.append(f"step {step} of job {n} happened {effects[n, step]} times")
    for lane in sorted({lane for _, lane, _, _ in ledger if lane}):
        order = [(n, STEPS.index(step)) for _, of, n, step in ledger if of == lane]
        if order != sorted(order):
            wrong.append(f"the effects of {lane} are out of order")
    return wrong


def without_generation(database: Database) -> PostgresJobStore:
    """A store in which who lost a job may still speak of it."""
    changed = {
        "note": _less("note", "AND generation = $2", "AND $2::bigint IS NOT NULL"),
        **{
            name: _less(name, "AND j.generation = g.generation", "")
            for name in ("finish", "fail", "renew")
        },
    }
    return PostgresJobStore(database, {**sql("jobs"), **changed})


def without_lanes(database: Database) -> PostgresJobStore:
    """A store in which every job is claimed as if it had no lane."""
    return PostgresJobStore(database, {**sql("jobs"), "claim": _less("claim", "AND lane = ''", "")})


def _less(name: str, old: str, new: str) -> str:
    statement = sql("jobs")[name]
    if old not in statement:
        raise ValueError(f"{name} has no {old!r}: the mutant would be none")
    return statement.replace(old, new)


async def work(dsn: str, name: str, lease_s: float) -> None:
    """A worker, until it is killed."""
    settings = PostgresSettings(dsn=dsn, connect_timeout_s=2.0, command_timeout_s=2.0)
    database = await Database.open(settings, name=name, size=3)
    limits = WorkerLimits(jobs=16, lease_s=lease_s, busy_s=0.05, idle_s=0.1, again_s=0.05)
    kinds = by_name([kind(name, random.Random(name))])
    await Worker(name, PostgresJobStore(database), kinds, limits).run()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2], float(sys.argv[3])))
