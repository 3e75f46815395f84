"""From Redis to subscribers: states in order of their versions, events without a hole, and where
that cannot be had, the end of the subscription with 2500."""

import asyncio

import pytest

from actors.core.messages.events import published
from hub.access.redaction import DEFAULT
from hub.access.redaction import state as as_seen
from hub.fanout.fanout import Fanout
from hub.fanout.feed import Feed
from hub.fanout.live_states import STALE_AFTER_S
from hub.fanout.pacing import Pacing
from hub.fanout.topics import Topic
from hub.fanout.walls import WallFeed
from hub.protocol import channels
from hub.protocol.messages import JSON
from storage.ports.live import BrokerMessage, LiveEvent, LiveSummary
from tests.support.doubles.stores import memory_stores
from tests.support.hub.dashboard_node import Subscriber
from tests.support.waiting import until


class Rig:
    """A feed over doubles, with one subscriber on each of `names`."""

    def __init__(self, *names: str) -> None:
        self.memory = memory_stores()
        self.broker = self.memory.broker()
        self.fanout, self.topics = Fanout(), dict[str, Topic]()
        self.feed = Feed(self.broker, self.memory.events, self.fanout, self.topics)
        self.feed.newcomers.begin("north", ["gate"])  # policy was asked about this one
        self.clients: dict[str, Subscriber] = {}
        for name in names:
            channel, client = channels.parse(name), Subscriber()
            site = channel.target if channel.scope == "site" else "north"
            wall = WallFeed(site, self.feed.live.summary, Pacing())
            topic = self.topics[name] = Topic(
                channel, site, self._render, wall=wall if channel.lane == "wall" else None
            )
            topic.add(client, DEFAULT, JSON)
            self.clients[name] = client

    def _render(self, view: object) -> tuple[bytes, int] | None:
        body, known = self.feed.live.state("gate"), self.feed.live.known("gate")
        return (
            None if body is None or known is None else (as_seen(body, DEFAULT), known.state_version)
        )

    async def happens(self, camera: str, offset: int, *, lost: bool = False) -> None:
        """An event is committed and published; `lost`: not to this hub."""
        body = b'{"camera":"%s"}' % camera.encode()
        await self.memory.publisher.publish(
            [], [LiveEvent("north", camera, 1, "e1", offset, published(body, bytes(32)))], {}, {}
        )
        if not lost:
            self.feed.receive(self.memory.redis.site("north").stream[-1])

    async def offsets(self, name: str) -> list[int]:
        """What the subscriber of `name` has got, after the turn of the loop."""
        await asyncio.sleep(0)
        return [event["offset"] for event in self.clients[name].got]


def state(version: int, generation: int = 1) -> BrokerMessage:
    body = b'{"camera":"gate","status":"online","version":%d,"tracks":[]}' % version
    return BrokerMessage("state", "north", "gate", generation, version, body=body)


async def test_the_latest_state_is_shown_and_an_older_one_refused() -> None:
    rig = Rig("camera:gate")
    rig.feed.live.expect("north", ["gate"], 0.0)
    for message in (state(2), state(1), state(1, generation=2), state(9)):
        rig.feed.receive(message)
        await asyncio.sleep(0)
    assert [shown["data"]["version"] for shown in rig.clients["camera:gate"].got] == [2, 1]
    assert rig.feed.stats.refused == 2


async def test_a_summary_is_on_the_walls_of_its_site_and_of_the_fleet() -> None:
    rig = Rig("site:north", "site:south", "fleet")
    rig.feed.live.expect("north", ["gate"], 0.0)
    entry = LiveSummary("gate", 1, 1, 0, b'{"camera":"gate"}')
    rig.feed.receive(BrokerMessage("summaries", "north", entries=[entry]))
    changed = {
        name: topic.wall.end_tick(0.0)
        for name, topic in rig.topics.items()
        if topic.wall is not None
    }
    assert changed == {"site:north": ["gate"], "site:south": [], "fleet": ["gate"]}


async def test_a_camera_that_falls_silent_is_shown_as_stale() -> None:
    rig = Rig("camera:gate")
    rig.feed.live.expect("north", ["gate"], 0.0)
    rig.feed.receive(state(1))
    known = rig.feed.live.known("gate")
    assert known is not None
    rig.feed.sweep(known.heard + STALE_AFTER_S + 0.1)
    await asyncio.sleep(0)
    assert [shown["data"]["status"] for shown in rig.clients["camera:gate"].got] == [
        "online",
        "stale",
    ]
    assert rig.feed.stats.stale == 1


async def test_events_come_each_once_by_camera_site_and_fleet() -> None:
    rig = Rig("events:camera:gate", "events:site:north", "events:fleet")
    await rig.feed.open_site("north")
    await rig.happens("gate", 1)
    await rig.happens("gate", 2)
    rig.feed.receive(rig.memory.redis.site("north").stream[0])
    assert await rig.offsets("events:camera:gate") == [1, 2]
    assert await rig.offsets("events:site:north") == [1, 2]
    assert len(rig.clients["events:fleet"].got) == 2


async def test_a_hole_is_read_back_before_anybody_sees_what_lies_beyond() -> None:
    rig = Rig("events:camera:gate", "events:site:north")
    await rig.happens("gate", 1)
    await rig.happens("gate", 2, lost=True)
    await rig.happens("gate", 3)
    assert await rig.offsets("events:site:north") == [1]
    await until(lambda: len(rig.clients["events:camera:gate"].got) == 3, what="the missing one")
    assert await rig.offsets("events:camera:gate") == [1, 2, 3]
    assert await rig.offsets("events:site:north") == [1, 2, 3]
    assert rig.feed.stats.holes == 1


async def test_a_hole_that_cannot_be_filled_yet_is_filled_with_the_next_event() -> None:
    rig = Rig("events:site:north")
    await rig.happens("gate", 1)
    await rig.happens("gate", 2, lost=True)
    rig.memory.redis.faults.plan("history", "fail")
    await rig.happens("gate", 3)
    await until(lambda: not rig.feed.site("north").filling, what="the failure")
    await rig.happens("gate", 4)
    await until(lambda: len(rig.clients["events:site:north"].got) == 4, what="all of them")
    assert await rig.offsets("events:site:north") == [1, 2, 3, 4]


async def test_a_hole_that_nothing_fills_and_another_numbering_end_the_subscriptions() -> None:
    rig = Rig("events:site:north")
    await rig.happens("gate", 1)
    await rig.happens("gate", 2, lost=True)
    rig.memory.redis.site("north").stream.clear()
    rig.feed.receive(event(rig.memory.redis.site("north").epoch, 4))
    await until(lambda: rig.clients["events:site:north"].ended, what="2500")
    await rig.feed.open_site("north")
    rig.feed.receive(event("another", 1))
    await until(lambda: rig.feed.stats.resets == 2, what="the second reset")
    assert {close.code for _, close in rig.clients["events:site:north"].ended} == {2500}


def event(epoch: str, position: int) -> BrokerMessage:
    """One with a place in the stream of its site that the double has never given."""
    return BrokerMessage("event", "north", "gate", 1, 0, "e1", position, epoch, position, b"{}")


@pytest.mark.parametrize("lost", [1, 3])
async def test_after_a_lost_connection_every_stream_is_compared(lost: int) -> None:
    rig = Rig("events:site:north")
    await rig.happens("gate", 1)
    for offset in range(2, 2 + lost):
        await rig.happens("gate", offset, lost=True)
    await rig.feed.compare()
    assert await rig.offsets("events:site:north") == list(range(1, 2 + lost))


async def test_a_heartbeat_tells_of_events_that_never_came() -> None:
    rig = Rig("events:camera:gate")
    rig.feed.live.expect("north", ["gate"], 0.0)
    await rig.happens("gate", 1)
    await rig.happens("gate", 2, lost=True)
    beat = BrokerMessage("heartbeat", "north", entries=[LiveSummary("gate", 1, 0, 2)])
    rig.feed.receive(beat)
    assert await rig.offsets("events:camera:gate") == [1], "it may still be on its way"
    rig.feed.receive(beat)
    await until(lambda: len(rig.clients["events:camera:gate"].got) == 2, what="the second event")


async def test_the_clusters_operations_are_shown_when_they_change() -> None:
    rig = Rig("cluster:operations")
    rig.topics["cluster:operations"].render = lambda _: rig.feed.operations
    for body in (b"", b'{"operations":[1]}', b'{"operations":[1]}'):
        rig.feed.receive(BrokerMessage("operations", "cluster", body=body))
        await asyncio.sleep(0)
    assert [shown["offset"] for shown in rig.clients["cluster:operations"].got] == [1]


async def test_what_nobody_watches_any_more_is_forgotten() -> None:
    rig = Rig()
    await rig.feed.open_site("north")
    rig.feed.receive(state(1))
    assert rig.feed.live.known("gate") is not None
    rig.feed.forget_site("north")
    assert (rig.feed.live.known("gate"), rig.feed.sites) == (None, {})
    rig.feed.receive(state(2))
    assert rig.feed.live.known("gate") is None
