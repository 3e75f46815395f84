"""What the subscribers of one channel get: each view its own bytes, nobody what it may not see, and
nobody more often than its rate."""

import asyncio

import pytest

from hub.access.redaction import DEFAULT, View
from hub.fanout import wall_ticks
from hub.fanout.fanout import Fanout
from hub.fanout.outbox import THINNED, Missed
from hub.fanout.pacing import Pacing
from hub.fanout.recovery import Item
from hub.fanout.topics import Topic, loss
from hub.fanout.walls import WallFeed
from hub.protocol import channels
from hub.protocol.disconnects import UNSUBSCRIBED_INSUFFICIENT_STATE
from hub.protocol.messages import JSON
from hub.protocol.protobuf_codec import PROTOBUF
from tests.support.hub.dashboard_node import Subscriber
from tests.support.waiting import until

HIDING = View(redact=("person",))
WITHOUT_GATE = View(exclude=frozenset({"gate"}))


class Rendered:
    """A `Render` that counts how often it made something."""

    def __init__(self) -> None:
        self.made = 0
        self.version = 1

    def __call__(self, view: View) -> tuple[bytes, int]:
        self.made += 1
        return b'{"hidden":%d,"version":%d}' % (len(view.redact), self.version), self.version


def live(render: Rendered) -> Topic:
    return Topic(channels.parse("camera:gate"), "north", render)


def wall(summaries: dict[str, bytes]) -> Topic:
    feed = WallFeed("north", summaries.get, Pacing())

    def whole(view: View) -> tuple[bytes, int] | None:
        body = feed.message(sorted(summaries), view, 0.0, full=True)
        return None if body is None else (body, feed.tick)

    return Topic(channels.parse("site:north"), "north", whole, wall=feed)


async def test_a_message_is_made_once_for_each_view_however_many_watch() -> None:
    render, fanout = Rendered(), Fanout()
    topic, clients = live(render), [Subscriber() for _ in range(4)]
    for client, view in zip(clients, (DEFAULT, DEFAULT, HIDING, HIDING), strict=True):
        topic.add(client, view, JSON)
    topic.add(Subscriber(), DEFAULT, PROTOBUF)
    topic.show(fanout, 0.0)
    await asyncio.sleep(0)
    assert render.made == 2, "the encodings of one view share what is shown"
    assert [client.got[0]["data"]["hidden"] for client in clients] == [0, 0, 1, 1]


async def test_who_left_gets_nothing_and_the_last_one_leaves_the_topic_idle() -> None:
    render, fanout = Rendered(), Fanout()
    topic, one, two = live(render), Subscriber(), Subscriber()
    group = topic.add(one, DEFAULT, JSON)
    topic.add(two, DEFAULT, JSON)
    topic.remove(one, group, 5.0)
    assert len(topic.groups) == 1
    topic.show(fanout, 0.0)
    await asyncio.sleep(0)
    assert (len(one.got), len(two.got)) == (0, 1)
    topic.remove(two, group, 7.0)
    assert (topic.groups, topic.idle_since) == ({}, 7.0)
    topic.add(one, DEFAULT, JSON)
    assert topic.idle_since is None


async def test_an_event_reaches_who_may_see_its_camera_and_who_is_just_joining() -> None:
    fanout, topic = Fanout(), Topic(channels.parse("events:site:north"), "north", lambda _: None)
    seeing, blind = Subscriber(), Subscriber()
    topic.add(seeing, DEFAULT, JSON)
    topic.add(blind, WITHOUT_GATE, JSON)
    item = Item(7, b'{"camera":"gate"}')
    with topic.joining.buffer() as buffer:
        topic.pass_on(fanout, item, lambda body, redact: body, camera="gate")
    await asyncio.sleep(0)
    assert [event["offset"] for event in seeing.got] == [7]
    assert (blind.got, buffer) == ([], [item])


async def test_positions_of_who_sees_not_all_tell_nothing_of_the_rest() -> None:
    fanout, topic = Fanout(), Topic(channels.parse("events:site:north"), "north", lambda _: None)
    client = Subscriber()
    topic.add(client, WITHOUT_GATE, JSON)
    body = b'{"camera":"yard","epoch":"e1","offset":1,"received":"2026-03-01T12:00:00.010000Z"}'
    topic.pass_on(fanout, Item(7, body), lambda body, redact: body, camera="yard")
    await asyncio.sleep(0)
    assert client.got[0]["offset"] > 2**40, "a moment, not a count of events"


async def test_a_rate_is_kept_and_the_newest_comes_when_it_is_due() -> None:
    render, fanout, client = Rendered(), Fanout(), Subscriber()
    topic, now = live(render), asyncio.get_running_loop().time()
    topic.add(client, View(max_hz=20.0), JSON)
    for version in (1, 2, 3):
        render.version = version
        topic.show(fanout, now)
    await asyncio.sleep(0)
    assert [shown["data"]["version"] for shown in client.got] == [1]
    await until(lambda: len(client.got) == 2, what="the newest one")
    assert client.got[1]["data"]["version"] == 3


async def test_a_rate_that_waits_ends_with_its_last_client() -> None:
    render, fanout, client = Rendered(), Fanout(), Subscriber()
    topic, now = live(render), asyncio.get_running_loop().time()
    group = topic.add(client, View(max_hz=0.01), JSON)
    for _ in range(2):
        topic.show(fanout, now)
    timer = group.timer
    assert timer is not None
    topic.remove(client, group, now)
    assert timer.cancelled()


async def test_a_wall_tells_in_a_tick_what_changed_for_each_view() -> None:
    summaries = {"gate": b'{"camera":"gate"}', "yard": b'{"camera":"yard"}'}
    fanout, topic, all_of_it, part = Fanout(), wall(summaries), Subscriber(), Subscriber()
    topic.add(all_of_it, DEFAULT, JSON)
    topic.add(part, WITHOUT_GATE, JSON)
    assert topic.wall is not None
    topic.wall.mark("gate")
    wall_ticks.show({"site:north": topic}, fanout, 1.0)
    wall_ticks.show({"site:north": topic}, fanout, 2.0)
    await asyncio.sleep(0)
    assert [shown["data"]["cameras"] for shown in all_of_it.got] == [[{"camera": "gate"}]]
    assert part.got == [], "not even that something changed"


async def test_a_camera_that_is_gone_is_told_by_a_whole_wall_to_who_may_have_seen_it() -> None:
    summaries = {"yard": b'{"camera":"yard"}'}
    fanout, topic, all_of_it, part = Fanout(), wall(summaries), Subscriber(), Subscriber()
    topic.add(all_of_it, DEFAULT, JSON)
    topic.add(part, WITHOUT_GATE, JSON)
    topic.show_whole(fanout, "gate")
    await asyncio.sleep(0)
    assert [(shown["data"]["full"], shown["data"]["cameras"]) for shown in all_of_it.got] == [
        (True, [{"camera": "yard"}])
    ]
    assert part.got == []


async def test_a_wall_with_a_rate_is_whole_and_silent_about_what_it_may_not_show() -> None:
    summaries = {"gate": b'{"camera":"gate"}', "yard": b'{"camera":"yard"}'}
    fanout, topic, client = Fanout(), wall(summaries), Subscriber()
    topic.add(client, View(max_hz=50.0, exclude=frozenset({"gate"})), JSON)
    topic.show_wall(fanout, ["gate"])
    await asyncio.sleep(0)
    assert client.got == []
    topic.show_wall(fanout, ["yard"])
    await asyncio.sleep(0)
    assert client.got[0]["data"] == {
        "site": "north",
        "tick": 0,
        "full": True,
        "cameras": [{"camera": "yard"}],
    }


async def test_who_cannot_go_on_is_told_to_recover() -> None:
    topic, clients = live(Rendered()), [Subscriber(), Subscriber()]
    topic.add(clients[0], DEFAULT, JSON)
    topic.add(clients[1], HIDING, JSON)
    topic.evict()
    assert [client.ended for client in clients] == [
        [("camera:gate", UNSUBSCRIBED_INSUFFICIENT_STATE)]
    ] * 2


@pytest.mark.parametrize(
    ("missed", "tags"),
    [
        (None, None),
        (Missed(1), None),
        (Missed(3), {"lost": "2", "reason": "slow"}),
        (Missed(2, THINNED), {"lost": "1", "reason": "thinned"}),
    ],
)
def test_what_a_client_missed_is_told_with_the_frame_that_replaces_it(
    missed: Missed | None, tags: dict[str, str] | None
) -> None:
    assert loss(missed) == tags
