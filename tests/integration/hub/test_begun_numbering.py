"""A place in a site's events can be told from every other, also one that was given before the site
had an event: a hub over a real Redis that is emptied, and one that takes no writes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from actors.core.settings import RedisSettings
from storage.redis.broker import RedisBroker
from storage.redis.connection import Command, RedisLink
from storage.redis.publisher import RedisPublisher
from tests.support.doubles.memory_redis import MemoryBroker, MemoryPublisher
from tests.support.doubles.stores import memory_stores
from tests.support.hub.hub import TestHub, running_hub
from tests.support.servers.store_servers import redis

CHANNEL = "events:site:north"
CAMERA = "events:camera:cam-1"
TOLD = {"code": 2500, "reason": "insufficient state"}


class OverRedis:
    """A hub whose Redis is a real one, and an operator of that."""

    def __init__(self, hub: TestHub, operator: RedisLink) -> None:
        self.hub = hub
        self._operator = operator

    async def command(self, *command: str) -> None:
        """What an operator does to Redis."""
        commands: list[Command] = [command]
        assert await self._operator.call(commands, writing=True) == [b"OK"]

    async def happen(self, *offsets: int) -> None:
        """Events of the camera."""
        for offset in offsets:
            await self.hub.happen("cam-1", offset)


@asynccontextmanager
async def over_redis(folder: Path) -> AsyncIterator[OverRedis]:
    with redis() as (_, url):
        settings = RedisSettings(url=url, timeout_s=10.0)
        broker, publisher = (
            RedisBroker(settings, name="hub"),
            RedisPublisher(settings, name="actor"),
        )
        operator = RedisLink(settings, "operator")
        await broker.open()
        memory = memory_stores()
        memory.publisher = cast("MemoryPublisher", publisher)
        memory.broker = lambda: cast("MemoryBroker", broker)  # type: ignore[method-assign]
        try:
            async with running_hub(folder, memory=memory) as hub:
                await hub.register("cam-1")
                yield OverRedis(hub, operator)
        finally:
            await operator.close()
            await publisher.close()
            await broker.close()


async def test_a_place_of_before_the_first_event_is_lost_when_redis_was_emptied_since(
    tmp_path: Path,
) -> None:
    async with over_redis(tmp_path) as stack:
        await stack.command("FLUSHALL")
        async with stack.hub.dashboard() as dash:
            place = (await dash.ask("subscribe", channel=CHANNEL))["subscribe"]
            await stack.happen(1, 2, 3)
            assert [(await dash.publication())["offset"] for _ in range(3)] == [1, 2, 3]
        await stack.command("FLUSHALL")
        await stack.happen(4, 5, 6, 7, 8)  # the new numbering passes the place: 1 to 5
        async with stack.hub.dashboard() as dash:
            back = await rejoin(dash, place["epoch"], 3)
            assert place["epoch"]
            assert back["was_recovering"]
            assert "recovered" not in back, "events 4, 5 and 6 would be missed in silence"
            assert back["epoch"] != place["epoch"]


async def test_who_comes_before_the_first_event_recovers_it(tmp_path: Path) -> None:
    async with over_redis(tmp_path) as stack:
        async with stack.hub.dashboard() as dash:
            place = (await dash.ask("subscribe", channel=CHANNEL))["subscribe"]
        await stack.happen(1, 2)
        async with stack.hub.dashboard() as dash:
            back = await rejoin(dash, place["epoch"], place.get("offset", 0))
            assert back["recovered"]
            assert [one["offset"] for one in back["publications"]] == [1, 2]


async def test_a_camera_without_events_is_numbered_also_when_redis_has_lost_its_mark(
    tmp_path: Path,
) -> None:
    async with over_redis(tmp_path) as stack:
        await stack.command("FLUSHALL")
        async with stack.hub.dashboard() as dash:
            place = (await dash.ask("subscribe", channel=CAMERA))["subscribe"]
            assert place["epoch"] == "e1"
        await stack.happen(1, 2)
        async with stack.hub.dashboard() as dash:
            back = await rejoin(dash, place["epoch"], place.get("offset", 0), CAMERA)
            assert [one["offset"] for one in back["publications"]] == [1, 2]
        for offset in (1, 2, 3):  # a restored database numbers anew
            await stack.hub.happen("cam-1", offset, epoch="e2")
        async with stack.hub.dashboard() as dash:
            back = await rejoin(dash, place["epoch"], place.get("offset", 0), CAMERA)
            assert "recovered" not in back, "events 1 and 2 of before would be missed in silence"
            assert back["epoch"] == "e2"


@pytest.mark.parametrize(
    ("command", "undo"),
    [
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
        (
            ("CONFIG", "SET", "min-replicas-to-write", "1"),
            ("CONFIG", "SET", "min-replicas-to-write", "0"),
        ),
    ],
    ids=["a-replica", "too-few-replicas"],
)
async def test_a_redis_that_takes_no_writes_gives_a_place_that_no_numbering_has(
    tmp_path: Path, command: tuple[str, ...], undo: tuple[str, ...]
) -> None:
    async with over_redis(tmp_path) as stack:
        await stack.command(*command)
        async with stack.hub.dashboard() as first, stack.hub.dashboard() as second:
            place = (await first.ask("subscribe", channel=CHANNEL))["subscribe"]
            other = (await second.ask("subscribe", channel=CHANNEL))["subscribe"]
            assert place["epoch"] == other["epoch"] != ""
            await stack.command(*undo)
            await stack.happen(1)
            for dash in (first, second):
                assert (await dash.push())["unsubscribe"] == TOLD
                assert "recovered" not in await rejoin(dash, place["epoch"], 0)


async def rejoin(dash: Any, epoch: str, offset: int, channel: str = CHANNEL) -> dict[str, Any]:
    """Come back to a place."""
    answer = await dash.ask("subscribe", channel=channel, recover=True, epoch=epoch, offset=offset)
    return cast("dict[str, Any]", answer["subscribe"])
