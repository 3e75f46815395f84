"""Event streams within a budget of bytes, and Redis at its limit: real server, nothing lost."""

from collections.abc import AsyncIterator, Iterator

import pytest

from actors.core.errors import Unavailable
from actors.core.settings import RedisSettings
from storage.ports.live import LiveEvent
from storage.redis import keys
from storage.redis.budget import StreamBudget
from storage.redis.connection import RedisLink
from storage.redis.publisher import RedisPublisher
from tests.support.servers.store_servers import redis

MIB = 2**20


@pytest.fixture
def settings() -> Iterator[RedisSettings]:
    with redis() as (_, url):
        yield RedisSettings(url=url, timeout_s=5.0, events_mb=4, events_kept=1_000_000)


@pytest.fixture
async def link(settings: RedisSettings) -> AsyncIterator[RedisLink]:
    opened = RedisLink(settings, "operator")
    yield opened
    await opened.close()


async def used(link: RedisLink, field: bytes = b"used_memory") -> int:
    (info,) = await link.call([("INFO", "memory")], writing=False)
    return next(
        int(line.split(b":")[1]) for line in info.split(b"\r\n") if line.startswith(field + b":")
    )


async def publish(
    publisher: RedisPublisher, cameras: int, first: int, last: int, size: int
) -> None:
    for offset in range(first, last + 1):
        body = b'{"x":"' + b"a" * size + b'"}'
        events = [LiveEvent("site", f"cam-{n}", 1, "e1", offset, body) for n in range(cameras)]
        assert await publisher.publish([], events, {}, {}) == set()


async def test_streams_stay_within_their_budget_whatever_the_size_of_events(
    settings: RedisSettings, link: RedisLink
) -> None:
    """40 MB of events, small and large ones, under a budget of 4; the newest are there."""
    publisher = RedisPublisher(settings, name="publisher")
    await publisher.open()
    empty = await used(link)
    await publish(publisher, 20, 1, 300, 300)
    await publish(publisher, 20, 301, 400, 16_000)
    await publish(publisher, 20, 401, 500, 300)
    assert await used(link) - empty < 1.5 * settings.events_mb * MIB
    newest = await link.call(
        [("XREVRANGE", keys.stream("site", f"cam-{n}"), "+", "-", "COUNT", 1) for n in range(20)],
        writing=False,
    )
    assert {entries[0][0] for entries in newest} == {b"500-0"}
    await publisher.close()


async def test_new_cameras_make_silent_streams_smaller(
    settings: RedisSettings, link: RedisLink
) -> None:
    now = 0.0
    budget = StreamBudget(4 * MIB, clock=lambda: now)
    silent = keys.stream("site", "silent")
    await link.call([("XADD", silent, "*", "p", b"a" * 1000) for _ in range(3000)], writing=True)
    budget.know([silent])
    await budget.keep(link)
    (before,) = await link.call([("XLEN", silent)], writing=False)
    assert before == 3000, "alone it may take everything"
    await link.call([("SET", f"other-{n}", "") for n in range(9)], writing=True)
    now = 10.0
    await budget.keep(link)
    size, left = await link.call([("MEMORY", "USAGE", silent), ("XLEN", silent)], writing=False)
    assert size < 0.5 * MIB
    assert 200 < left < 600
    assert budget.cut == 3000 - left


async def test_a_full_server_is_given_room_and_publishing_goes_on(
    settings: RedisSettings, link: RedisLink
) -> None:
    """The limit is reached: the call says so, the streams give way, and the next call is taken."""
    publisher = RedisPublisher(settings, name="publisher")
    await publisher.open()
    await publish(publisher, 10, 1, 100, 8000)
    limit = await used(link)
    await link.call(
        [
            ("CONFIG", "SET", "maxmemory-policy", "noeviction"),
            ("CONFIG", "SET", "maxmemory", limit),
        ],
        writing=True,
    )
    refused = 0
    offset = 100
    while offset < 300:
        try:
            await publish(publisher, 10, offset + 1, offset + 1, 8000)
            offset += 1
        except Unavailable:
            refused += 1
            assert refused < 100, "it never came back"
    assert refused > 0, "the limit was not reached"
    assert await publisher.published_marks([("site", "cam-3")]) == {("cam-3"): ("e1", 300)}
    await publisher.close()
