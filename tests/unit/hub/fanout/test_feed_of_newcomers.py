"""Events that waited for policy go on when everybody has been asked, whatever else is read from
Redis at that moment."""

import asyncio

from actors.core.messages.events import published
from hub.fanout.fanout import Fanout
from hub.fanout.feed import Feed
from hub.fanout.topics import Topic
from hub.protocol import channels
from storage.ports.live import BrokerMessage, LiveEvent
from tests.support.doubles.memory_redis import MemoryBroker
from tests.support.doubles.stores import memory_stores
from tests.support.waiting import until


class Slow(MemoryBroker):
    """What it has read of the history it keeps to itself while it is `held`."""

    held: asyncio.Event | None = None
    reading = 0

    async def history(
        self, site: str, camera: str | None, after: int, limit: int, *, begin: bool = False
    ) -> tuple[str, int, list[BrokerMessage]]:
        found = await super().history(site, camera, after, limit, begin=begin)
        if self.held is not None:
            self.reading += 1
            await self.held.wait()
        return found


async def test_events_that_waited_are_read_after_a_repair_that_is_under_way() -> None:
    memory = memory_stores()
    broker = Slow(memory.redis)
    topics = {
        "events:site:north": Topic(channels.parse("events:site:north"), "north", lambda view: None)
    }
    feed = Feed(broker, memory.events, Fanout(), topics)

    async def happens(camera: str, offset: int) -> BrokerMessage:
        body = b'{"camera":"%s"}' % camera.encode()
        await memory.publisher.publish(
            [], [LiveEvent("north", camera, 1, "e1", offset, published(body, bytes(32)))], {}, {}
        )
        return memory.redis.site("north").stream[-1]

    await happens("gate", 1)
    feed.newcomers.begin("north", ["gate"])
    await feed.open_site("north")
    assert feed.site("north").offset == 1
    await happens("gate", 2)  # is lost on the way
    broker.held = asyncio.Event()
    feed.receive(await happens("gate", 3))
    await until(lambda: broker.reading == 1, what="the repair")
    feed.receive(await happens("yard", 1))
    assert feed.newcomers.waiting() == ["north"]
    feed.admit("north", ["gate", "yard"])
    broker.held.set()
    await until(lambda: feed.site("north").offset == 4, what="the event of the new camera")
    assert not feed.site("north").filling
    await feed.close()
