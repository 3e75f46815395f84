"""`storage.ports.background.jobs.JobStore`: double and PostgreSQL. A lease of 0 s is over."""

import asyncio
from typing import Any

import pytest

from actors.core.errors import BadInput, Conflict, Unavailable
from storage.ports.background.jobs import (
    MAX_JSON,
    NO_MORE,
    Claim,
    ClaimedJob,
    FailedJob,
    FinishedJob,
    JobStore,
    NewJob,
)
from tests.support.servers.store_fixtures import Contract

KINDS = ["mail", "count"]


async def claimed(jobs: JobStore, limit: int = 10, lease_s: float = 60) -> list[ClaimedJob]:
    return await jobs.claim("w-1", KINDS, limit=limit, lease_s=lease_s)


async def heads(
    jobs: JobStore, limit: int = 10, after: str = "", look: int = 100
) -> tuple[list[int], str]:
    found, where = await jobs.claim_lanes(
        "w-1", KINDS, limit=limit, lease_s=60, after=after, look=look
    )
    return [job.claim.id for job in found], where


async def state(jobs: JobStore, id: int) -> str:
    row = await jobs.get(id)
    return "" if row is None else row.state


async def nothing(_connection: Any) -> None:
    """An effect."""


async def no_record(_connection: Any) -> None:
    raise Unavailable("the audit log cannot be written")


async def test_a_job_is_claimed_by_one_and_finished_once(contract: Contract) -> None:
    jobs = contract.jobs
    made = await jobs.enqueue([NewJob("mail", args={"to": n}, who="ann") for n in range(20)])
    assert made == sorted(made)
    assert len(set(made)) == 20
    parts = await asyncio.gather(*(claimed(jobs) for _ in range(2)))
    found = [job for part in parts for job in part]
    assert sorted(job.claim.id for job in found) == made
    assert [job.args["to"] for job in sorted(found, key=lambda j: j.claim.id)] == list(range(20))
    assert {(job.attempt, job.who, job.cancel, job.deadline_s) for job in found} == {
        (1, "ann", False, None)
    }
    assert await claimed(jobs) == []
    ends = [FinishedJob(job.claim, {"sent": True}) for job in found]
    assert await jobs.finish(ends) == set(made)
    assert await jobs.finish(ends) == set()
    row = await jobs.get(made[0])
    assert row is not None
    assert (row.state, row.result, row.owner, row.attempt) == ("done", {"sent": True}, "w-1", 1)
    assert row.created_us <= row.started_us <= row.finished_us
    assert await jobs.counts() == []


async def test_only_what_is_due_and_known_is_claimed(contract: Contract) -> None:
    jobs = contract.jobs
    await jobs.enqueue([NewJob("mail", after_s=3600), NewJob("unheard-of"), NewJob("mail")])
    assert len(await claimed(jobs)) == 1
    assert [(one.kind, one.state, one.count) for one in await jobs.counts()] == [
        ("mail", "ready", 1),
        ("mail", "running", 1),
        ("unheard-of", "ready", 1),
    ]


async def test_the_longest_due_comes_first(contract: Contract) -> None:
    jobs = contract.jobs
    first, second = await jobs.enqueue([NewJob("mail"), NewJob("mail", after_s=-60)])
    assert [job.claim.id for job in await claimed(jobs, 1)] == [second]
    assert [job.claim.id for job in await claimed(jobs, 1)] == [first]


async def test_who_lost_a_job_changes_nothing(contract: Contract) -> None:
    jobs = contract.jobs
    (id,) = await jobs.enqueue([NewJob("mail")])
    (old,) = await claimed(jobs, lease_s=0)
    assert await jobs.sweep(10) == 1
    assert await jobs.sweep(10) == 0
    for late in (old.claim, Claim(id, old.claim.generation + 1)):  # while it is ready
        assert await jobs.renew([late], lease_s=60) == {}
    (new,) = await claimed(jobs)
    assert (new.claim.id, new.attempt) == (id, 2)
    assert new.claim.generation > old.claim.generation
    effects: list[str] = []

    async def effect(_connection: Any) -> None:
        effects.append("late")

    late = old.claim
    assert await jobs.renew([late], lease_s=60) == {}
    assert await jobs.finish([FinishedJob(late)]) == set()
    assert await jobs.fail([FailedJob(late, "late", 0)]) == set()
    assert await jobs.give_back([late]) == set()
    assert await jobs.note(late, {"step": 2}, effect) is False
    assert await jobs.finish_with(FinishedJob(late), effect) is False
    assert effects == []
    assert await state(jobs, id) == "running"
    assert await jobs.renew([new.claim], lease_s=60) == {id: False}
    assert await jobs.finish_with(FinishedJob(new.claim), effect) is True
    assert effects == ["late"]


async def test_an_end_and_its_effect_happen_together(contract: Contract) -> None:
    jobs = contract.jobs
    (id,) = await jobs.enqueue([NewJob("mail")])
    (job,) = await claimed(jobs)
    with pytest.raises(Unavailable):
        await jobs.note(job.claim, {"step": 1}, no_record)
    with pytest.raises(Unavailable):
        await jobs.finish_with(FinishedJob(job.claim), no_record)
    row = await jobs.get(id)
    assert row is not None
    assert (row.state, row.progress) == ("running", {})
    assert await jobs.note(job.claim, {"step": 1}, nothing) is True
    row = await jobs.get(id)
    assert row is not None
    assert row.progress == {"step": 1}


async def test_a_lane_runs_one_at_a_time_in_order(contract: Contract) -> None:
    jobs = contract.jobs
    a1, b1, a2, b2 = await jobs.enqueue(
        [
            NewJob("mail", lane=lane, after_s=after)
            for lane, after in zip("abab", (0, 0, -60, 0), strict=True)
        ]
    )
    assert await claimed(jobs) == []  # they have lanes
    assert await heads(jobs) == ([a1, b1], "")
    assert await heads(jobs) == ([], "")
    await jobs.fail([FailedJob(Claim(a1, 1), "not now", 3600)])
    await jobs.finish([FinishedJob(Claim(b1, 1))])
    assert await heads(jobs) == ([b2], "")  # a2 waits for the next attempt of a1
    await jobs.cancel(a1, reason="enough")
    assert await heads(jobs) == ([a2], "")
    await jobs.fail([FailedJob(Claim(a2, 1), "never", NO_MORE)])
    (a3,) = await jobs.enqueue([NewJob("mail", lane="a")])
    assert await heads(jobs) == ([a3], "")  # a dead one holds nobody up


async def test_lanes_take_turns(contract: Contract) -> None:
    jobs = contract.jobs
    made = await jobs.enqueue([NewJob("mail", lane=f"lane-{n}") for n in range(5)])
    assert await heads(jobs, limit=2, look=3) == (made[:2], "lane-1")
    assert await heads(jobs, after="lane-1", look=2) == (made[2:4], "lane-3")
    assert await heads(jobs, after="lane-3", look=2) == (made[4:], "")
    assert await heads(jobs, look=2) == ([], "lane-1")


async def test_a_key_lives_once(contract: Contract) -> None:
    jobs = contract.jobs
    wanted = NewJob("mail", key="slot-1")
    ids = await jobs.enqueue([wanted, wanted, NewJob("count", key="slot-1"), NewJob("mail")])
    assert [bool(id) for id in ids] == [True, False, True, True]
    assert await jobs.enqueue([wanted]) == [0]
    found = await claimed(jobs)
    assert await jobs.enqueue([wanted]) == [0]
    first = next(job for job in found if job.claim.id == ids[0])
    assert first.key == "slot-1"
    await jobs.fail([FailedJob(first.claim, "no", NO_MORE)])
    assert (await jobs.enqueue([wanted]))[0] > ids[0]
    with pytest.raises(Conflict):
        await jobs.replay(ids[0])


async def test_attempts_end_in_death_and_the_error_is_kept(contract: Contract) -> None:
    jobs = contract.jobs
    (id,) = await jobs.enqueue([NewJob("mail", max_attempts=2)])
    (job,) = await claimed(jobs)
    assert await jobs.fail([FailedJob(job.claim, "no route\x00", 0)]) == {id}
    (job,) = await claimed(jobs)
    assert job.attempt == 2
    assert await jobs.fail([FailedJob(job.claim, "x" * 9_999, NO_MORE)]) == {id}
    row = await jobs.get(id)
    assert row is not None
    assert (row.state, len(row.error), row.finished_us > 0) == ("dead", 2_000, True)
    assert await claimed(jobs) == []
    assert await jobs.replay(id) is True
    assert await jobs.replay(id) is False
    (job,) = await claimed(jobs)
    assert job.attempt == 1
    await jobs.fail([FailedJob(job.claim, "again", NO_MORE)])
    with pytest.raises(Unavailable):
        await jobs.discard(id, reason="old", audit=no_record)
    assert await jobs.discard(id, reason="old") is True
    assert await jobs.discard(id, reason="old") is False
    row = await jobs.get(id)
    assert row is not None
    assert (row.state, row.result, row.error) == ("discarded", {"reason": "old"}, "again")


async def test_a_lost_last_attempt_is_death(contract: Contract) -> None:
    jobs = contract.jobs
    (id,) = await jobs.enqueue([NewJob("mail", max_attempts=1)])
    await claimed(jobs, lease_s=0)
    assert await jobs.sweep(10) == 1
    row = await jobs.get(id)
    assert row is not None
    assert row.state == "dead"
    assert "w-1" in row.error


async def test_a_job_begins_before_its_deadline_or_not_at_all(contract: Contract) -> None:
    jobs = contract.jobs
    late, early = await jobs.enqueue(
        [NewJob("mail", deadline_s=0.000001), NewJob("mail", deadline_s=600)]
    )
    (job,) = await claimed(jobs)
    assert job.claim.id == early
    assert job.deadline_s is not None
    assert 0 < job.deadline_s <= 600
    assert await jobs.sweep(10) == 1
    assert await state(jobs, late) == "dead"
    await jobs.fail([FailedJob(job.claim, "slow", 3600)])  # the next attempt would be too late
    assert await state(jobs, early) == "dead"


async def test_what_is_given_back_has_lost_no_attempt(contract: Contract) -> None:
    jobs = contract.jobs
    (id,) = await jobs.enqueue([NewJob("mail")])
    (job,) = await claimed(jobs)
    assert await jobs.give_back([job.claim]) == {id}
    (again,) = await claimed(jobs)
    assert (again.attempt, again.claim.generation) == (1, 2)


async def test_cancelling(contract: Contract) -> None:
    jobs = contract.jobs
    ready, running = await jobs.enqueue([NewJob("mail", after_s=60), NewJob("mail")])
    (job,) = await claimed(jobs)
    assert job.claim.id == running
    for id in (ready, running):
        with pytest.raises(Unavailable):
            await jobs.cancel(id, reason="no", audit=no_record)
    assert await jobs.renew([job.claim], lease_s=60) == {running: False}
    assert await jobs.cancel(ready, reason="no need") == "cancelled"
    assert await jobs.cancel(running, reason="no need") == "asked"
    assert await jobs.cancel(ready, reason="no need") == ""
    assert await jobs.cancel(999_999, reason="no need") == ""
    assert await jobs.renew([job.claim], lease_s=60) == {running: True}
    assert await jobs.finish([FinishedJob(job.claim, state="cancelled")]) == {running}
    assert {await state(jobs, id) for id in (ready, running)} == {"cancelled"}


async def test_lists_hold_all_the_newest_first(contract: Contract) -> None:
    jobs = contract.jobs
    ids = await jobs.enqueue([NewJob("mail", max_attempts=1) for _ in range(4)])
    first, second, third, _ = await claimed(jobs)
    await jobs.finish([FinishedJob(first.claim)])
    await jobs.fail([FailedJob(second.claim, "no", NO_MORE)])
    await jobs.cancel(third.claim.id, reason="no")
    await jobs.finish([FinishedJob(third.claim, state="cancelled")])
    assert [row.id for row in await jobs.list()] == ids[::-1]
    assert [row.id for row in await jobs.list(limit=2)] == [ids[3], ids[2]]
    assert [row.id for row in await jobs.list(before=ids[2], limit=1)] == [ids[1]]
    assert [row.id for row in await jobs.list(state="dead")] == [ids[1]]
    assert [row.id for row in await jobs.list(state="cancelled")] == [ids[2]]
    assert await jobs.list(kind="count") == []
    assert await jobs.list(kind="mail", state="done", before=ids[0]) == []


async def test_what_is_old_is_forgotten(contract: Contract) -> None:
    jobs = contract.jobs
    done, dead, ready = await jobs.enqueue([NewJob("mail") for _ in range(2)] + [NewJob("count")])
    found = {job.claim.id: job.claim for job in await claimed(jobs, 2)}
    await jobs.finish([FinishedJob(found[done])])
    await jobs.fail([FailedJob(found[dead], "no", NO_MORE)])
    assert await jobs.forget(done_days=1, dead_days=1, limit=10) == 0
    assert await jobs.forget(done_days=0, dead_days=1, limit=10) == 1
    assert await jobs.forget(done_days=0, dead_days=0, limit=10) == 1
    assert [row.id for row in await jobs.list()] == [ready]


async def test_what_is_too_large_is_refused(contract: Contract) -> None:
    jobs = contract.jobs
    large = {"text": "x" * MAX_JSON}
    for wrong in (NewJob("x" * 201), NewJob("mail", args=large), NewJob("m", args={"a": object()})):
        with pytest.raises(BadInput):
            await jobs.enqueue([NewJob("mail"), wrong])
    assert await jobs.list() == []
    await jobs.enqueue([NewJob("mail")])
    (job,) = await claimed(jobs)
    with pytest.raises(BadInput):
        await jobs.note(job.claim, large)
    with pytest.raises(BadInput):
        await jobs.finish([FinishedJob(job.claim, large)])
