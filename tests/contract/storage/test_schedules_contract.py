"""`storage.ports.background.schedules.ScheduleStore`: the double and PostgreSQL."""

import asyncio
from typing import Any

import msgspec
import pytest

from actors.core.errors import Unavailable
from storage.ports.background.jobs import NO_MORE, FailedJob
from storage.ports.background.schedules import NewSchedule
from tests.support.servers.store_fixtures import Contract

NIGHTLY = NewSchedule("retention", "clean", {"days": 30}, 3, at="03:10", zone="Europe/Berlin")
OFTEN = NewSchedule("counts", "count", every_s=60, jitter_s=5)
DAY_US = 86_400_000_000


async def no_record(_connection: Any) -> None:
    raise Unavailable("the audit log cannot be written")


async def test_a_slot_makes_one_job_whoever_asks(contract: Contract) -> None:
    schedules = contract.schedules
    assert await schedules.declare([NIGHTLY, OFTEN]) == ["counts", "retention"]
    assert await schedules.declare([NIGHTLY]) == []
    opened = {row.schedule.name: row for row in await schedules.due(10)}
    row = opened["retention"]
    assert (row.schedule, row.slot_us, row.due_us, row.paused) == (NIGHTLY, 0, 0, False)
    past, later = row.now_us - DAY_US, row.now_us + DAY_US
    assert await schedules.advance("retention", slot_us=0, next_us=past, due_us=past) == 0
    (row,) = [one for one in await schedules.due(10) if one.schedule.name == "retention"]
    assert row.slot_us == past
    made = await asyncio.gather(
        *(schedules.advance("retention", slot_us=past, next_us=later, due_us=later) for _ in "ab")
    )
    assert sorted(made) == [0, max(made)]
    assert [one.schedule.name for one in await schedules.due(10)] == ["counts"]
    (job,) = await contract.jobs.claim("w", ["clean"], limit=9, lease_s=60)
    assert (job.claim.id, job.args, job.max_attempts) == (max(made), {"days": 30}, 3)
    assert job.who == "schedule:retention"
    told = {one.schedule.name: one for one in await schedules.all()}["retention"]
    assert (told.slot_us, told.last_slot_us, told.last_job) == (later, past, max(made))


async def test_one_job_of_a_schedule_lives_at_a_time(contract: Contract) -> None:
    schedules, jobs = contract.schedules, contract.jobs
    await schedules.declare([OFTEN])
    now = (await schedules.all())[0].now_us
    await schedules.advance("counts", slot_us=0, next_us=now - 9, due_us=now - 9)
    first = await schedules.advance("counts", slot_us=now - 9, next_us=now - 8, due_us=now - 8)
    assert first > 0
    assert await schedules.advance("counts", slot_us=now - 8, next_us=now - 7, due_us=now) == 0
    assert (await schedules.all())[0].slot_us == now - 7  # it moved on all the same
    assert await schedules.run_now("counts", who="ann") == 0
    assert await schedules.run_now("nobody", who="ann") is None
    (job,) = await jobs.claim("w", ["count"], limit=9, lease_s=60)
    await jobs.fail([FailedJob(job.claim, "no", NO_MORE)])  # a dead one holds nobody up
    with pytest.raises(Unavailable):
        await schedules.run_now("counts", who="ann", audit=no_record)
    by_hand = await schedules.run_now("counts", who="ann")
    assert by_hand is not None
    assert by_hand > first
    row = await jobs.get(by_hand)
    assert row is not None
    assert (row.kind, row.who) == ("count", "ann")


async def test_a_changed_timing_is_reckoned_anew_and_a_pause_stays(contract: Contract) -> None:
    schedules = contract.schedules
    await schedules.declare([NIGHTLY])
    now = (await schedules.all())[0].now_us
    await schedules.advance("retention", slot_us=0, next_us=now + DAY_US, due_us=now + DAY_US)
    with pytest.raises(Unavailable):
        await schedules.pause("retention", True, audit=no_record)
    assert await schedules.pause("retention", True) is True
    assert await schedules.pause("retention", True) is False
    assert await schedules.pause("nobody", True) is False
    assert await schedules.due(10) == []
    assert await schedules.advance("retention", slot_us=0, next_us=now, due_us=now) == 0
    assert await schedules.declare([msgspec.structs.replace(NIGHTLY, at="04:00")]) == ["retention"]
    (row,) = await schedules.all()
    assert (row.paused, row.slot_us, row.schedule.at) == (True, 0, "04:00")
    assert await schedules.pause("retention", False) is True
    assert [one.slot_us for one in await schedules.due(10)] == [0]
