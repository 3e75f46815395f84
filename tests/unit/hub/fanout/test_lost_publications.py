"""Publications that are missing, and the read that should bring them: it fails, there are too many
of them, or they are not for everybody."""

import asyncio

import pytest

from actors.core.errors import Unavailable
from actors.core.messages.events import published
from hub.access import redaction
from hub.access.redaction import View
from hub.fanout.fanout import Client, Fanout
from hub.fanout.feed import Feed
from hub.fanout.live_states import LiveStates
from hub.fanout.recovery import Item
from hub.fanout.streams import MAX_HELD, MissingPublications, StreamReset, TopicPosition
from hub.fanout.topics import Topic
from hub.protocol import channels
from hub.protocol.disconnects import CloseCode
from hub.protocol.messages import JsonCodec
from storage.ports.live import BrokerMessage, LiveEvent
from tests.support.doubles.memory_redis import MemoryBroker
from tests.support.doubles.stores import MemoryStores, memory_stores
from tests.support.waiting import until

SITE, CAMERA = "north", "gate"


class Listener(Client):
    """A client that is never too slow."""

    def drop(self, close: CloseCode) -> None:
        raise AssertionError(close)


class Failing(MemoryBroker):
    """Reads of the history fail so many times."""

    failures = 0
    reads = 0

    async def history(
        self, site: str, camera: str | None, after: int, limit: int, *, begin: bool = False
    ) -> tuple[str, int, list[BrokerMessage]]:
        self.reads += 1
        if self.failures:
            self.failures -= 1
            raise Unavailable("Redis is away")
        return await super().history(site, camera, after, limit, begin=begin)


async def happens(memory: MemoryStores, offset: int) -> BrokerMessage:
    body = b'{"camera":"%s"}' % CAMERA.encode()
    await memory.publisher.publish(
        [], [LiveEvent(SITE, CAMERA, 1, "e1", offset, published(body, bytes(32)))], {}, {}
    )
    return memory.redis.site(SITE).stream[-1]


@pytest.mark.parametrize("failures", [1, 2])
async def test_events_that_could_not_be_read_back_are_read_with_the_next_one(failures: int) -> None:
    memory = memory_stores()
    broker = Failing(memory.redis)
    name = channels.site_events(SITE)
    topics = {name: Topic(channels.parse(name), SITE, lambda view: None)}
    feed = Feed(broker, memory.events, Fanout(), topics)
    await happens(memory, 1)
    feed.newcomers.begin(SITE, [CAMERA])
    await feed.open_site(SITE)
    await happens(memory, 2)  # is lost on the way
    broker.failures = failures
    for attempt in range(failures):
        reads = broker.reads
        feed.receive(await happens(memory, 3 + attempt))
        await until(lambda before=reads: broker.reads > before, what="a read")  # type: ignore[misc]
        await until(lambda: not feed.site(SITE).filling, what="the end of it")
        assert feed.site(SITE).offset == 1
    last = 3 + failures
    feed.receive(await happens(memory, last))
    await until(lambda: feed.site(SITE).offset == last, what="all that was missing")
    await feed.close()


async def test_events_of_one_camera_that_could_not_be_read_back_are_read_with_the_next() -> None:
    memory = memory_stores()
    broker = Failing(memory.redis)
    name = channels.camera_events(CAMERA)
    topic = Topic(channels.parse(name), SITE, lambda view: None)
    feed = Feed(broker, memory.events, Fanout(), {name: topic})
    await happens(memory, 1)
    feed.newcomers.begin(SITE, [CAMERA])
    await feed.open_site(SITE)
    topic.stream.start("e1", 1)
    await happens(memory, 2)  # is lost on the way
    broker.failures = 1_000
    feed.receive(await happens(memory, 3))
    await until(lambda: not topic.stream.filling, what="the end of the read")
    assert topic.stream.offset == 1
    await until(lambda: not feed.site(SITE).filling, what="the site's")
    broker.failures = 0
    feed.receive(await happens(memory, 4))
    await until(lambda: topic.stream.offset == 4, what="all that was missing")
    await feed.close()


def test_what_is_held_during_a_refill_is_bounded() -> None:
    stream = TopicPosition()
    stream.start("e", 1)
    assert stream.receive("e", Item(3, b"")) == MissingPublications(1)
    for offset in range(4, MAX_HELD + 3):
        assert stream.receive("e", Item(offset, b"")) == []
    beyond = Item(MAX_HELD + 3, b"")
    assert stream.receive("e", beyond) == StreamReset("e", beyond)


def test_a_hole_is_asked_for_once_while_it_is_being_filled() -> None:
    stream = TopicPosition()
    stream.start("e", 1)
    assert stream.lacks(1) is None
    assert stream.lacks(2) == MissingPublications(1)
    assert stream.lacks(9) is None
    assert stream.fill([Item(2, b"")]) is not None
    assert stream.lacks(3) == MissingPublications(2)


def test_an_event_of_a_camera_that_is_left_out_is_none() -> None:
    body = b'{"camera":"gate","type":"zone.entered"}'
    assert redaction.of_camera(body, View(exclude=frozenset({"gate"}))) is None
    assert redaction.of_camera(body, View(exclude=frozenset({"yard"}))) == body


@pytest.mark.parametrize(("redis_lost", "reason"), [(True, "redis_lost"), (False, "actor_lost")])
def test_a_state_that_nobody_vouches_for_says_so(redis_lost: bool, reason: str) -> None:
    """Of a camera that this hub has heard nothing of: somebody reads what Redis holds."""
    live = LiveStates()
    live.redis_lost = redis_lost
    told = live.vouched("gate", b'{"camera":"gate","status":"online","reason":null}')
    assert b'"status":"stale"' in told
    assert b'"reason":"%s"' % reason.encode() in told


async def test_an_event_of_a_camera_that_is_left_out_is_not_passed_on() -> None:
    fanout = Fanout()
    name = channels.site_events(SITE)
    topic = Topic(channels.parse(name), SITE, lambda view: None)
    written: dict[str, list[bytes]] = {"all": [], "some": []}
    for who, view in (("all", View()), ("some", View(exclude=frozenset({CAMERA})))):
        client = Listener(written[who].append, 1_000_000)
        topic.add(client, view, JsonCodec())
    item = Item(1, b'{"camera":"gate","id":"gate/e1/1"}')
    topic.pass_on(fanout, item, redaction.event, camera=CAMERA)
    await asyncio.sleep(0)
    assert b"gate/e1/1" in b"".join(written["all"])
    assert written["some"] == []
