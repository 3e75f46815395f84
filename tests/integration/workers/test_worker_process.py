"""A worker's process on real servers, without Ray: the schedules of this release and what they
make."""

import asyncio

from storage.ports.jobs import JobRow
from storage.stores import Stores, open_stores
from tests.support.servers.store_fixtures import Servers, servers, wipe
from workers.own_kinds import SCHEDULES
from workers.worker_process import WorkerProcess

__all__ = ["servers"]


async def ended(stores: Stores, schedule: str) -> JobRow:
    async with asyncio.timeout(60):
        while not (job := await stores.schedules.run_now(schedule, who="test")):
            await asyncio.sleep(0.02)  # it is declared when the worker begins
        while (row := await stores.jobs.get(job)) is None or row.state in ("ready", "running"):
            await asyncio.sleep(0.02)
        return row


async def test_every_schedule_of_this_release_makes_jobs_that_end_well(servers: Servers) -> None:
    await wipe(servers.settings)
    stores = await open_stores(servers.settings, name="asks")
    process = await WorkerProcess.open(servers.settings, "worker-0:test")
    try:
        for schedule in SCHEDULES:
            row = await ended(stores, schedule.name)
            assert (row.state, row.error, row.kind) == ("done", "", schedule.kind)
        shown = {metric.name: metric.samples[0].value for metric in process.collect()}
        assert shown["eyrie_worker_jobs_done"] == len(SCHEDULES)
        slots = {
            row.schedule.name: row.slot_us > row.now_us for row in await stores.schedules.all()
        }
        assert slots == {schedule.name: True for schedule in SCHEDULES}
        async with asyncio.timeout(30):
            assert await process.stop(5.0) is True
        assert (await stores.connectors.beat("other", seen_s=60)).workers == 1
    finally:
        await stores.close()
