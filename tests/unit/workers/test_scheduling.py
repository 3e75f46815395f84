"""`workers.scheduling` over the doubles."""

import asyncio

import pytest

from actors.core.errors import BadInput
from storage.ports.background.schedules import NewSchedule
from tests.support.doubles.stores import memory_stores
from workers.scheduling import Scheduler

OFTEN = NewSchedule("often", "count", every_s=60)


async def test_a_slot_makes_one_job_and_missed_ones_make_one() -> None:
    stores = memory_stores()
    made: list[None] = []
    workers = [
        Scheduler(stores.schedules, [OFTEN], made=lambda: made.append(None)) for _ in range(3)
    ]
    assert await workers[0].round() == 0  # reckoned; nothing is due
    stores.jobs.pass_s(61)
    assert sum(await asyncio.gather(*(worker.round() for worker in workers))) == 1
    assert await workers[1].round() == 0
    await stores.jobs.cancel(1, reason="out of the way")
    stores.jobs.pass_s(60 * 500)
    assert sum([await worker.round() for worker in workers]) == 1
    await stores.jobs.cancel(2, reason="out of the way")
    assert sum([await worker.round() for worker in workers]) == 0, "none is left to be made up for"
    assert len(made) == 2
    assert [row.kind for row in stores.jobs.rows.values()] == ["count", "count"]


def test_a_schedule_of_nonsense_does_not_begin() -> None:
    with pytest.raises(BadInput):
        Scheduler(memory_stores().schedules, [NewSchedule("often", "count")])
