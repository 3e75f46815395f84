"""`storage.ports.rate_limits.SignInStore`: the double and Redis."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from storage.ports.rate_limits import SignInStore
from storage.redis.sign_ins import RedisSignIns
from tests.support.doubles.memory_sign_ins import MemorySignIns
from tests.support.servers.store_fixtures import Servers, wipe


@pytest.fixture(params=["double", "real"])
async def hubs(
    request: pytest.FixtureRequest, servers: Servers
) -> AsyncIterator[tuple[SignInStore, SignInStore]]:
    """Two hubs' ways to the same codes."""
    if request.param == "double":
        memory = MemorySignIns()
        yield memory, memory
        return
    await wipe(servers.settings)
    first, second = (RedisSignIns(servers.settings.redis, name=name) for name in ("one", "two"))
    yield first, second
    await first.close()
    await second.close()


async def test_one_of_all_hubs_gets_it_once(hubs: tuple[SignInStore, SignInStore]) -> None:
    first, second = hubs
    await first.keep("a", b"\x00sealed\xff", 60)
    taken = await asyncio.gather(*(hub.pop("a") for hub in (first, second) * 5))
    assert sorted(taken, key=lambda found: found is None) == [b"\x00sealed\xff", *[None] * 9]
    assert await second.pop("never") is None


async def test_it_is_kept_for_its_time_and_no_longer(hubs: tuple[SignInStore, SignInStore]) -> None:
    first, second = hubs
    names = iter(range(1000))
    for name in range(1000):
        await first.keep(str(name), b"short", 1)
    async with asyncio.timeout(10):
        while await second.pop(str(next(names))) is not None:
            await asyncio.sleep(0.05)
