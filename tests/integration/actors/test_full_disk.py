"""The disk under PostgreSQL is really full: dashboards are told `store_full`, nothing acked is
lost, and all goes on once there is room.

Mounts a disk of memory, so it needs root.
"""

import asyncio
import os
import time

import pytest

from actors.core.messages.deliveries import Acked, Welcomed
from actors.core.reasons import STORE_FULL
from storage.migrations import migrate
from storage.stores import open_stores
from tests.integration.actors.test_store_troubles import shown
from tests.support.camera_rig import SCENE, Process, settings_of
from tests.support.servers import store_servers
from tests.support.servers.small_disk import fill_disk, small_disk
from tests.support.waiting import until

pytestmark = pytest.mark.prove

TOLD_S = 10.0  # design section 4, promise 6


async def test_a_full_disk_is_named_in_time_and_loses_nothing_that_was_acked() -> None:
    with (
        small_disk() as disk,
        store_servers.postgres(durable=True, within=disk) as (_server, dsn),
        store_servers.redis() as (_redis, url),
    ):
        settings = settings_of(dsn, url)
        await migrate(settings)
        stores = await open_stores(settings, name="test")
        await stores.registry.register("cam-1", "site-1", scene=SCENE)
        process = await Process.begin(settings, stores, ["cam-1"])
        try:
            process.attach("cam-1")
            await process.has(Welcomed)
            async with shown(settings, "site-1", "cam-1") as wrong:
                filler = await asyncio.to_thread(fill_disk, disk)
                assert os.statvfs(disk).f_bavail == 0
                sent = 0
                began: float | None = None
                try:
                    async with asyncio.timeout(120):
                        while wrong() is None:
                            acked = max((ack.seq for ack in process.of(Acked, "cam-1")), default=0)
                            if acked == sent:
                                process.data("cam-1", range(sent + 1, sent + 31))
                                sent, began = sent + 30, time.monotonic()
                            process.send()
                            await asyncio.sleep(0.05)
                    assert began is not None
                    told_after_s = time.monotonic() - began
                    assert wrong() == STORE_FULL
                finally:
                    filler.unlink()
                await process.acked("cam-1", sent)
                await until(lambda: wrong() is None, what="that it is online again")
                assert told_after_s < TOLD_S, f"told after {told_after_s:.1f} s"
            position = (await stores.cameras.ownership(["cam-1"]))["cam-1"].position
            assert position.last_seq == sent
        finally:
            await process.end()
            await stores.close()
