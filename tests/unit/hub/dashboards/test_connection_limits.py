"""Admission and drain: what is refused, for how long, and who leaves when."""

import asyncio
import itertools

import msgspec

from actors.core.settings import HubSettings
from hub.dashboards import connection_limits
from hub.dashboards.connection_limits import (
    ADDRESS_FULL,
    DRAINING,
    HUB_FULL,
    TOO_FAST,
    USER_FULL,
    Admission,
)
from hub.dashboards.connections import paced
from hub.protocol.disconnects import MAX_REASON_BYTES
from hub.server.waiting_connections import WaitingConnections


def admission(**limits: int) -> Admission:
    return Admission(msgspec.convert(limits, HubSettings), 0.0)


def test_each_limit_has_its_reason() -> None:
    made = admission(
        max_connections=3,
        max_connections_per_address=1,
        max_connections_per_user=1,
        connections_burst=2,
    )
    assert made.check("a", 0, 0.0, draining=False) is None
    made.entered("a")
    found = [
        made.check("a", 1, 0.0, draining=False),
        made.check("b", 3, 0.0, draining=False),
        made.check("b", 1, 0.0, draining=True),
    ]
    assert [denied.reason for denied in found if denied is not None] == [
        ADDRESS_FULL,
        HUB_FULL,
        DRAINING,
    ]
    assert made.named("ada")
    assert not made.named("ada")
    made.left("a", "ada")
    assert made.named("ada")
    assert made.check("a", 0, 0.0, draining=False) is None
    assert dict(made.refused) == {ADDRESS_FULL: 1, HUB_FULL: 1, DRAINING: 1, USER_FULL: 1}


def test_the_later_a_connection_is_refused_for_the_rate_the_later_it_is_asked_back() -> None:
    made = admission(connections_per_s=10, connections_burst=1)
    assert made.check("a", 0, 0.0, draining=False) is None
    denied = [made.check("a", 0, 0.0, draining=False) for _ in range(50)]
    assert {found.reason for found in denied if found is not None} == {TOO_FAST}
    retries = [found.retry_s for found in denied if found is not None]
    assert retries == sorted(retries)
    assert (retries[0], retries[-1]) == (1, 6)
    later = made.check("a", 0, 4.9, draining=False)
    assert later is None


def test_one_address_that_knocks_without_end_keeps_nobody_else_out() -> None:
    made = admission(connections_per_s=100, connections_burst=400)
    let_in = {"2001:db8::1": 0, "10.0.0.1": 0}
    for step in range(
        10_000
        # ten seconds of a thousand a second by turns of one network's addresses, and one a second
        # of somebody else
    ):
        if made.check(f"2001:db8::{step % 50:x}", 0, step / 1000, draining=False) is None:
            let_in["2001:db8::1"] += 1
        if step % 1000 == 999:
            assert made.check("10.0.0.1", 0, step / 1000, draining=False) is None
    assert let_in["2001:db8::1"] > 1_200, (
        "what nobody else asks for it may have: three quarters of the burst, and the rate"
    )


def test_few_leave_at_once_and_many_within_the_window() -> None:
    assert [len(batch) for batch in connection_limits.batches(range(10), 5.0)] == [10]
    many = list(connection_limits.batches(range(10_000), 5.0))
    assert len(many) * connection_limits.STEP_S <= 5.0
    assert sorted(item for batch in many for item in batch) == list(range(10_000))
    assert [len(batch) for batch in connection_limits.batches(range(1000), 0.0)] == [1000]
    assert list(connection_limits.batches([], 5.0)) == []


async def test_between_two_batches_there_is_a_pause() -> None:
    loop = asyncio.get_running_loop()
    at = [loop.time() async for _ in paced(range(60), 0.5)]
    sizes = [len(batch) for batch in connection_limits.batches(range(60), 0.5)]
    assert len(at) == 60
    assert len(sizes) > 1
    for first in itertools.accumulate(sizes[:-1]):
        assert at[first] - at[first - 1] >= connection_limits.STEP_S - 0.01


def test_the_last_word_fits_a_close_frame() -> None:
    close = connection_limits.goodbye(1.0)
    assert (close.code, close.reason, close.reconnects) == (
        3001,
        "shutdown; reconnect_after_ms=2000",
        True,
    )
    assert len(close.reason) <= MAX_REASON_BYTES


def test_connections_that_wait_are_counted_by_network() -> None:
    waiting = WaitingConnections(1, ())
    assert waiting.enter("2001:db8::1")
    assert not waiting.enter("2001:db8::2")
    assert waiting.enter("2001:db8:0:1::1")
    waiting.leave("2001:db8::2")
    assert waiting.enter("2001:db8::3")
