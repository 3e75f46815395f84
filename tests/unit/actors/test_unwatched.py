"""What an actor process shows of a camera that nobody watches: its state goes with the wall, and
comes at its full rate again with the first subscriber."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from actors.core.messages.deliveries import Welcomed
from actors.publish_loop import UNHEARD_S
from tests.support.camera_rig import Process
from tests.support.doubles.memory_process import SITE, ProcessStores, begin
from tests.support.doubles.memory_redis import MemoryBroker
from tests.support.waiting import until

CAMERA = "cam-1"
LATE_S = 0.01  # by which a timer of the loop may come early


@pytest.fixture
def stores() -> ProcessStores:
    return ProcessStores()


@pytest.fixture
async def process(stores: ProcessStores) -> AsyncIterator[Process]:
    """States at 60 Hz, and no wall to go with."""
    process = await begin(stores, [CAMERA], live_hz=60.0, wall_hz=0.001)
    process.attach(CAMERA)
    await process.has(Welcomed)
    yield process
    await process.end()


def version(stores: ProcessStores) -> int:
    """Of the state that Redis holds; 0: none yet."""
    shown = stores.redis.site(SITE).states.get(CAMERA)
    return shown.version if shown is not None else 0


async def show(process: Process, stores: ProcessStores, seq: int) -> None:
    """Another observation, until the state is another one."""
    before = version(stores)
    process.data(CAMERA, [seq])
    await until(lambda: version(stores) > before, what="a newer state")


async def test_states_that_reach_nobody_are_few(process: Process, stores: ProcessStores) -> None:
    begun = time.monotonic()
    await until(lambda: version(stores), what="a state")
    first = version(stores)
    for seq in (1, 2):
        await show(process, stores, seq)
    shown = version(stores) - first
    assert time.monotonic() - begun >= (shown - 1) * (UNHEARD_S - LATE_S)


async def test_the_first_subscriber_brings_the_full_rate_back(
    process: Process, stores: ProcessStores
) -> None:
    await until(lambda: version(stores), what="a state")
    await MemoryBroker(stores.redis).watch([SITE], [(SITE, CAMERA)])
    async with asyncio.timeout(30):  # at the rate of those that nobody watches: 40 s and more
        for seq in range(1, 41):
            await show(process, stores, seq)
