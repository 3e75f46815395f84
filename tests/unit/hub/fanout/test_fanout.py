"""Fan-out: one write a turn, and the ladder of a slow client."""

import asyncio

from hub.fanout.fanout import Client, Fanout, Group
from hub.fanout.outbox import MAX_AGE_S, RELAPSE_S, STUCK_S, THINNED, Missed, Outbox
from hub.fanout.outbox import SLOW as SLOW_REASON
from hub.fanout.topics import loss
from hub.protocol.disconnects import SLOW, CloseCode


class Receiver(Client):
    """A client that remembers. `room` is how many writes it takes before its transport is above the
    mark."""

    def __init__(self, fanout: Fanout, room: int = 1_000, queue_bytes: int = 100) -> None:
        super().__init__(self._take, queue_bytes)
        self.fanout = fanout
        self.room = room
        self.written: list[bytes] = []
        self.dropped: CloseCode | None = None

    def _take(self, data: bytes) -> None:
        self.written.append(data)
        self.room -= 1
        if self.room == 0:
            self.fanout.block(self)

    def drop(self, close: CloseCode) -> None:
        self.dropped = close
        self.closing = True


def group_of(*clients: Client, latest: bytes | None = b"newest") -> Group:
    group = Group("g", lambda _missed: latest)
    group.members.update(dict.fromkeys(clients))
    return group


async def test_what_is_due_in_one_turn_leaves_in_one_write() -> None:
    fanout = Fanout()
    one, two = Receiver(fanout), Receiver(fanout)
    both, only = group_of(one, two), group_of(one)
    fanout.live(both, b"a")
    fanout.live(only, b"b")
    fanout.send(one, b"c")
    fanout.ordered(both, b"d")
    assert one.written == []
    await asyncio.sleep(0)
    assert (one.written, two.written) == ([b"abcd"], [b"ad"])
    fanout.live(both, b"e")
    await asyncio.sleep(0)
    assert (one.written, two.written) == ([b"abcd", b"e"], [b"ad", b"e"])
    assert fanout.stats.writes == 4


async def test_a_blocked_client_is_conflated_and_gets_the_newest_when_it_drains() -> None:
    fanout = Fanout()
    slow, fast = Receiver(fanout), Receiver(fanout)
    group = group_of(slow, fast)
    fanout.block(slow)
    for number in range(5):
        fanout.live(group, b"%d" % number)
        await asyncio.sleep(0)
    assert (slow.written, fast.written) == ([], [b"0", b"1", b"2", b"3", b"4"])
    fanout.unblock(slow)
    assert slow.written == [b"newest"]
    assert fanout.stats.conflated == 5


async def test_ordered_messages_are_held_in_order_and_come_before_the_newest_state() -> None:
    fanout = Fanout()
    slow = Receiver(fanout)
    group = group_of(slow)
    fanout.send(slow, b"0")  # due in this turn, and older than what is held next
    fanout.block(slow)
    for frame in (b"1", b"2", b"3"):
        fanout.ordered(group, frame)
    fanout.live(group, b"live")
    fanout.unblock(slow)
    await asyncio.sleep(0)
    assert b"".join(slow.written) == b"0123newest"


async def test_a_client_that_blocks_again_while_it_is_caught_up_keeps_its_place() -> None:
    now = [100.0]
    fanout = Fanout(lambda: now[0])
    slow = Receiver(fanout, room=1)
    first, second = group_of(slow), group_of(slow, latest=b"second")
    fanout.block(slow)
    fanout.ordered(first, b"event")
    fanout.live(first, b"x")
    fanout.live(second, b"y")
    fanout.unblock(slow)
    assert slow.written == [b"event"]
    assert slow.outbox is not None
    slow.room = 1
    fanout.unblock(slow)
    assert slow.written == [b"event", b"newest"]
    slow.room = 9
    fanout.unblock(slow)
    assert slow.written == [b"event", b"newest", b"second"]
    now[0] += RELAPSE_S
    fanout.serve()
    assert slow.outbox is None
    assert not fanout.blocked


async def test_who_fills_its_socket_again_soon_is_thinned_until_it_keeps_up() -> None:
    now = [100.0]
    fanout = Fanout(lambda: now[0])
    slow, fast = Receiver(fanout), Receiver(fanout)
    group = group_of(slow, fast)
    fanout.block(slow)
    fanout.unblock(slow)
    assert slow.outbox is None, "once is no relapse"
    now[0] += 1
    fanout.block(slow)
    fanout.unblock(slow)
    for number in range(20):
        now[0] += 0.125
        fanout.live(group, b"%d" % number)
        await asyncio.sleep(0)
        fanout.serve()
    assert slow.written == [b"newest", b"newest"], "one a second"
    assert len(fast.written) == 20
    fanout.ordered(group, b"event")
    await asyncio.sleep(0)
    assert slow.written[-1] == b"event", "events do not wait for a turn"
    assert fanout.stats.drops[("live", THINNED)] == 14
    assert fanout.stats.thinned == 1
    now[0] += RELAPSE_S
    fanout.serve()
    fanout.live(group, b"each again")
    await asyncio.sleep(0)
    assert (slow.written[-1], slow.outbox) == (b"each again", None)


async def test_the_frame_after_missed_ones_knows_how_many_and_why() -> None:
    fanout = Fanout()
    told: list[tuple[int, str]] = []

    def latest(missed: Missed | None) -> bytes:
        assert missed is not None
        told.append((missed.count, missed.reason))
        return b"newest"

    slow = Receiver(fanout)
    group = Group("g", latest, "wall")
    group.members[slow] = None
    fanout.block(slow)
    for _ in range(3):
        fanout.live(group, b"x")
    fanout.unblock(slow)
    assert told == [(3, SLOW_REASON)]
    assert fanout.stats.drops == {("wall", SLOW_REASON): 2}
    assert loss(Missed(3, SLOW_REASON)) == {"lost": "2", "reason": "slow"}
    assert loss(Missed(1, SLOW_REASON)) is None


async def test_a_socket_that_stays_full_is_closed_whatever_is_held() -> None:
    now = [0.0]
    fanout = Fanout(lambda: now[0])
    slow = Receiver(fanout)
    group = group_of(slow)
    fanout.block(slow)
    fanout.live(group, b"x")
    now[0] = STUCK_S + 1
    fanout.close_overdue()
    assert slow.dropped is SLOW
    fanout.forget(slow)
    assert fanout.stats.drops == {("live", SLOW_REASON): 1}


async def test_beyond_its_bytes_a_slow_client_is_closed_and_others_are_not() -> None:
    fanout = Fanout()
    slow, fast = Receiver(fanout, queue_bytes=10), Receiver(fanout)
    group = group_of(slow, fast)
    fanout.block(slow)
    for _ in range(4):
        fanout.ordered(group, b"four")
    await asyncio.sleep(0)
    assert slow.dropped is SLOW
    assert (fast.written, fast.dropped) == ([b"four" * 4], None)


async def test_a_client_that_takes_nothing_for_too_long_is_closed() -> None:
    now = [0.0]
    fanout = Fanout(lambda: now[0])
    slow = Receiver(fanout)
    fanout.block(slow)
    fanout.send(slow, b"x")
    fanout.close_overdue()
    assert slow.dropped is None
    now[0] = MAX_AGE_S + 1
    fanout.close_overdue()
    assert slow.dropped is SLOW
    fanout.forget(slow)
    assert fanout.blocked == {}


async def test_a_client_that_left_its_group_gets_nothing_of_it() -> None:
    fanout = Fanout()
    slow = Receiver(fanout)
    group = group_of(slow)
    fanout.block(slow)
    fanout.live(group, b"x")
    group.members.clear()
    fanout.unblock(slow)
    assert slow.written == []


def test_an_outbox_is_bounded_by_age() -> None:
    outbox = Outbox(1000)
    assert outbox.hold(b"a", 10.0)
    assert outbox.hold(b"b", 10.0 + MAX_AGE_S)
    assert not outbox.hold(b"c", 10.1 + MAX_AGE_S)
    assert outbox.age(12.0) == 2.0
    assert outbox.take() == b"ab"
    assert not outbox.overdue(1e9)
    assert outbox.age(1e9) == 0.0
