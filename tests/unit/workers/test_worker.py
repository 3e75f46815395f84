"""`workers.worker` over the double of the store."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from actors.core.errors import BadInput, Unavailable
from storage.ports.background.jobs import MAX_JSON, NewJob, Values
from tests.support.doubles.memory_jobs import MemoryJobStore
from workers.kinds import JobKind, RunningJob, by_name
from workers.retries import RetryPolicy
from workers.worker import Worker, WorkerLimits

QUICK = WorkerLimits(jobs=4, lease_s=0.3, busy_s=0.01, idle_s=0.01, again_s=0.01)
AT_ONCE = RetryPolicy(base_s=0.0)
Run = Callable[[RunningJob], Awaitable[Values | None]]


@asynccontextmanager
async def working(
    store: MemoryJobStore, run: Run, *, limits: WorkerLimits = QUICK, timeout_s: float = 60
) -> AsyncIterator[Worker]:
    worker = Worker("w-1", store, by_name([JobKind("work", run, AT_ONCE, timeout_s)]), limits)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)


def states(store: MemoryJobStore) -> list[str]:
    return [row.state for _, row in sorted(store.rows.items())]


async def test_jobs_run_bounded_and_their_results_are_kept() -> None:
    store, now, most = MemoryJobStore(), 0, 0

    async def run(job: RunningJob) -> Values:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now -= 1
        return {"twice": 2 * job.args["n"]}

    await store.enqueue([NewJob("work", args={"n": n}) for n in range(30)])
    async with working(store, run) as worker:
        await until(lambda: states(store) == ["done"] * 30)
        assert most <= QUICK.jobs
        assert [row.result for row in store.rows.values()] == [{"twice": 2 * n} for n in range(30)]
        await until(lambda: worker.running == 0)
        assert worker.counts.ends == {"claimed": 30, "done": 30}


async def test_a_lane_runs_in_order_also_through_failures() -> None:
    store, seen = MemoryJobStore(), []

    async def run(job: RunningJob) -> None:
        seen.append((job.job.lane, job.args["n"]))
        if job.job.attempt < 3:
            raise Unavailable("not now")

    await store.enqueue([NewJob("work", lane=f"l{n % 3}", args={"n": n}) for n in range(12)])
    async with working(store, run):
        await until(lambda: states(store) == ["done"] * 12)
    for lane in range(3):
        of_lane = [n for name, n in seen if name == f"l{lane}"]
        assert of_lane == [n for n in range(lane, 12, 3) for _ in range(3)]


async def test_poison_dies_with_its_error_and_its_neighbours_live() -> None:
    store = MemoryJobStore()

    async def run(job: RunningJob) -> None:
        match job.args:
            case {"mistake": True}:
                raise KeyError("no such field")
            case {"hopeless": True}:
                raise BadInput("no number")

    mistake = NewJob("work", args={"mistake": True}, max_attempts=3)
    await store.enqueue([mistake, NewJob("work"), NewJob("work", args={"hopeless": True})])
    async with working(store, run) as worker:
        await until(lambda: states(store) == ["dead", "done", "dead"])
        rows = [row for _, row in sorted(store.rows.items())]
        assert [(row.attempt, row.error) for row in rows] == [
            (3, "KeyError: 'no such field'"),
            (1, ""),
            (1, "BadInput: no number"),
        ]
        await until(lambda: worker.running == 0)
        assert worker.counts.ends == {"claimed": 5, "done": 1, "failed": 2, "dead": 2}


async def test_an_attempt_has_a_time() -> None:
    store = MemoryJobStore()

    async def run(job: RunningJob) -> None:
        await asyncio.Event().wait()

    await store.enqueue([NewJob("work", max_attempts=1)])
    async with working(store, run, timeout_s=0.01):
        await until(lambda: states(store) == ["dead"])
    assert "did not end in 0.01 s" in store.rows[1].error


async def test_a_long_job_keeps_its_lease_and_one_that_lost_it_stores_nothing() -> None:
    store, begun, ended = MemoryJobStore(), asyncio.Event(), []

    async def run(job: RunningJob) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(job.job.attempt)

    await store.enqueue([NewJob("work")])
    async with working(store, run) as worker:
        await begun.wait()
        renewed = store.faults.calls["renew"]
        await until(lambda: store.faults.calls["renew"] > renewed + 2)
        assert store.rows[1].generation == 1
        # what a worker finds whose loop stood still for longer than its lease
        store.faults.down.add("renew")
        store.pass_s(60)
        await until(lambda: store.rows[1].generation > 1 or worker.counts.ends["lost"] > 0)
        store.faults.down.clear()
        await until(lambda: ended == [1] and store.rows[1].generation == 2)
        assert worker.counts.ends["lost"] == 1
        assert store.rows[1].state == "running"


async def test_what_somebody_cancels_stops() -> None:
    store, begun = MemoryJobStore(), asyncio.Event()

    async def run(job: RunningJob) -> None:
        begun.set()
        await asyncio.Event().wait()

    await store.enqueue([NewJob("work")])
    async with working(store, run):
        await begun.wait()
        assert await store.cancel(1, reason="enough") == "asked"
        await until(lambda: states(store) == ["cancelled"])


@pytest.mark.parametrize("how", ["fail", "after"])
async def test_an_end_waits_for_the_store_and_is_stored_once(how: Any) -> None:
    store, ran = MemoryJobStore(), []

    async def run(job: RunningJob) -> Values:
        ran.append(job.args["n"])
        if job.args["n"] == 1:
            job.finish_with(lambda _connection: note(job))
        return {"n": job.args["n"]}

    effects = []

    async def note(job: RunningJob) -> None:
        effects.append(job.args["n"])

    await store.enqueue([NewJob("work", args={"n": n}) for n in range(2)])
    store.faults.plan("finish", how, how)
    store.faults.plan("finish_with", how)
    async with working(store, run) as worker:
        await until(lambda: states(store) == ["done"] * 2 and worker.running == 0)
        assert sorted(ran) == [0, 1]
        if how == "after":  # the double's effects are no transaction: a failure takes none back
            assert effects == [1]


async def test_without_the_store_nothing_is_lost() -> None:
    store, ran = MemoryJobStore(), []

    async def run(job: RunningJob) -> None:
        ran.append(job.job.claim.id)

    for operation in ("claim", "claim_lanes", "finish", "sweep", "renew"):
        store.faults.down.add(operation)
    await store.enqueue([NewJob("work"), NewJob("work", lane="a")])
    async with working(store, run) as worker:
        await until(lambda: store.faults.calls["claim"] > 3)
        store.faults.down -= {"claim", "claim_lanes"}
        await until(lambda: len(ran) == 2)
        assert worker.running == 2  # ended, and not stored
        store.faults.down.clear()
        await until(lambda: states(store) == ["done"] * 2)
    assert sorted(ran) == [1, 2]


async def test_a_step_that_was_done_is_not_done_again() -> None:
    store, done = MemoryJobStore(), []

    async def run(job: RunningJob) -> None:
        for name in ("read", "write"):

            async def work(name: str = name) -> None:
                done.append(name)

            await job.step(name, work)
            if job.job.attempt == 1:
                raise Unavailable("between two steps")

    await store.enqueue([NewJob("work")])
    async with working(store, run):
        await until(lambda: states(store) == ["done"])
    assert done == ["read", "write"]
    assert store.rows[1].progress == {"steps": ["read", "write"]}


async def test_a_result_that_is_too_large_ends_the_job_all_the_same() -> None:
    store = MemoryJobStore()

    async def run(job: RunningJob) -> Values:
        return {"text": "x" * MAX_JSON}

    await store.enqueue([NewJob("work")])
    async with working(store, run):
        await until(lambda: states(store) == ["done"])
    assert store.rows[1].result == {}


async def test_draining_lets_jobs_end_and_gives_the_rest_back() -> None:
    store, begun = MemoryJobStore(), []

    async def run(job: RunningJob) -> None:
        begun.append(job.job.claim.id)
        if job.args.get("long"):
            await asyncio.Event().wait()
        await asyncio.sleep(0.01)

    await store.enqueue([NewJob("work", args={"long": True}), NewJob("work")])
    async with working(store, run, limits=WorkerLimits(jobs=2, idle_s=0.01)) as worker:
        await until(lambda: len(begun) == 2)
        await store.enqueue([NewJob("work")])
        assert await worker.drain(0.3) is False
    assert states(store) == ["ready", "done", "ready"]
    assert [row.attempt for _, row in sorted(store.rows.items())] == [0, 1, 0]
