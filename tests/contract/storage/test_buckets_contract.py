"""`storage.ports.rate_limits.Buckets`: the double and Redis."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from storage.ports.rate_limits import Ask, Buckets
from storage.redis.connection import RedisLink
from storage.redis.rate_limits import RedisBuckets
from tests.support.doubles.memory_buckets import MemoryBuckets
from tests.support.servers.store_fixtures import Servers, wipe


@pytest.fixture(params=["double", "real"])
async def hubs(
    request: pytest.FixtureRequest, servers: Servers
) -> AsyncIterator[tuple[Buckets, Buckets]]:
    """Two hubs' ways to the same buckets."""
    if request.param == "double":
        memory = MemoryBuckets()
        yield memory, memory
        return
    await wipe(servers.settings)
    first, second = (RedisBuckets(servers.settings.redis, name=name) for name in ("one", "two"))
    yield first, second
    await first.close()
    await second.close()


async def test_check_38_two_hubs_together_get_exactly_the_burst(
    hubs: tuple[Buckets, Buckets],
) -> None:
    ask = Ask("user_requests:ada", 0.01, 20)

    async def many(buckets: Buckets) -> int:
        return sum([(await buckets.charge([ask]))[0].given for _ in range(20)])

    assert sum(await asyncio.gather(many(hubs[0]), many(hubs[1]))) == 20
    (grant,) = await hubs[1].charge([ask])
    assert grant.given == 0
    assert 90 < grant.retry_s <= 100


async def test_tokens_come_back_at_the_rate_and_a_part_of_what_is_wanted_is_given(
    hubs: tuple[Buckets, Buckets],
) -> None:
    assert [
        grant.given
        for grant in await hubs[0].charge(
            [Ask("a:x", 100.0, 5, 3), Ask("a:x", 100.0, 5, 3), Ask("a:y", 100.0, 5, 9)]
        )
    ] == [
        3,
        2,
        5,
    ]
    await asyncio.sleep(0.1)
    (grant,) = await hubs[1].charge([Ask("a:x", 100.0, 5, 9)])
    assert grant.given == 5, "ten would have come back; it holds five"


async def test_a_limit_is_remembered_until_it_is_full_again(servers: Servers) -> None:
    """Forgotten earlier, it would be full at once."""
    await wipe(servers.settings)
    buckets = RedisBuckets(servers.settings.redis, name="one")
    link = RedisLink(servers.settings.redis, "by-hand")
    try:
        assert (await buckets.charge([Ask("user_requests:ada", 0.1, 20, 20)]))[0].given == 20
        [keys] = await link.call([("KEYS", "*ada*")], writing=False)
        assert isinstance(keys, list)
        [left_ms] = await link.call([("PTTL", *keys)], writing=False)
        assert isinstance(left_ms, int)
        assert 190_000 < left_ms <= 201_000
    finally:
        await link.close()
        await buckets.close()
