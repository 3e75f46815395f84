"""`storage.ports.rate_limits.GrantStore`: the double and Redis."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from storage.ports.rate_limits import GrantStore
from storage.redis.grants import RedisGrants
from tests.support.doubles.memory_grants import MemoryGrants
from tests.support.servers.store_fixtures import Servers, wipe


@pytest.fixture(params=["double", "real"])
async def hubs(
    request: pytest.FixtureRequest, servers: Servers
) -> AsyncIterator[tuple[GrantStore, GrantStore]]:
    """Two hubs' ways to the same names."""
    if request.param == "double":
        memory = MemoryGrants()
        yield memory, memory
        return
    await wipe(servers.settings)
    first, second = (RedisGrants(servers.settings.redis, name=name) for name in ("one", "two"))
    yield first, second
    await first.close()
    await second.close()


async def test_what_one_hub_notes_another_knows_for_its_time(
    hubs: tuple[GrantStore, GrantStore],
) -> None:
    first, second = hubs
    await first.note(["a", "b"], 60)
    await first.note(["c"], 1)
    assert [await second.noted(name) for name in ("a", "b", "c", "d")] == [True, True, True, False]
    async with asyncio.timeout(10):
        while await second.noted("c"):
            await asyncio.sleep(0.05)
    assert await second.noted("a")
