"""A worker's process on real servers, without Ray: the schedules of this release and what they
make."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from actors.core.backup_settings import BackupSettings
from actors.core.settings import DataSettings
from storage.embedded.data_dir import DataDir
from storage.ports.background.jobs import JobRow
from storage.stores import Stores, open_stores
from tests.support.servers.store_fixtures import Servers, servers, wipe
from workers.own_kinds import SCHEDULES
from workers.worker_process import WorkerProcess

__all__ = ["servers"]


async def ended(stores: Stores, schedule: str, *, within_s: float = 60) -> JobRow:
    async with asyncio.timeout(within_s):
        while not (job := await stores.schedules.run_now(schedule, who="test")):
            await asyncio.sleep(0.02)  # it is declared when the worker begins
        while (row := await stores.jobs.get(job)) is None or row.state in ("ready", "running"):
            await asyncio.sleep(0.02)
        return row


async def in_time(stores: Stores) -> dict[str, bool]:
    rows = await stores.schedules.all()
    return {row.schedule.name: row.slot_us > row.now_us for row in rows}


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
        async with asyncio.timeout(30):
            # one whose time has just come is behind until the worker has looked
            while (slots := await in_time(stores)) != {one.name: True for one in SCHEDULES}:
                assert slots.keys() == {one.name for one in SCHEDULES}
                await asyncio.sleep(0.02)
            assert await process.stop(5.0) is True
        assert (await stores.connectors.beat("other", seen_s=60)).workers == 1
    finally:
        await stores.close()


@pytest.mark.prove
@pytest.mark.timeout(900)
async def test_backups_are_taken_and_checked_by_workers_where_a_folder_is_set(
    servers: Servers, tmp_path: Path
) -> None:
    data = DataDir(tmp_path / "data")
    data.prepare()
    (data.keys / "policy.secret").write_text("planted-key")
    backup = BackupSettings(dir=str(tmp_path / "backups"), keys_dir=str(tmp_path / "vault"))
    settings = msgspec.structs.replace(
        servers.settings, backup=backup, data=DataSettings(dir=str(data.path))
    )
    await wipe(settings)
    stores = await open_stores(settings, name="asks")
    process = await WorkerProcess.open(settings, "worker-0:test")
    try:
        taken = await ended(stores, "backup.take", within_s=300)
        assert (taken.state, taken.error) == ("done", "")
        checked = await ended(stores, "backup.check", within_s=300)
        assert (checked.state, checked.error) == ("done", "")
        assert (checked.result["backup"], checked.result["green"]) == (taken.result["name"], True)
        dump = Path(backup.dir) / taken.result["name"] / "database.dump"
        dump.write_bytes(dump.read_bytes()[:-1] + b"?")
        job = await stores.schedules.run_now("backup.check", who="test")
        assert job
        async with asyncio.timeout(300):
            while (
                not (row := await stores.jobs.get(job)) or "not what was written" not in row.error
            ):
                await asyncio.sleep(0.05)
    finally:
        await process.stop(5.0)
        await stores.close()
