"""Cursors of sinks in a real database."""

from storage.ports.background.connectors import ConnectorClaim
from storage.ports.background.sinks import Cursor, CursorMove, Failure, SinkReplay, connector_of
from storage.stores import Stores
from tests.support.connectors.fleet import Fleet, make

TO = {"type": "webhook", "url": "https://receiver.example/"}


async def made(stores: Stores, events: int = 5) -> tuple[Fleet, ConnectorClaim]:
    fleet = Fleet(stores)
    await fleet.add("c1")
    await fleet.commit("c1", events)
    await make(stores, "hook", TO)
    await stores.sinks.adopt("hook")
    return fleet, await claimed(stores)


async def claimed(stores: Stores) -> ConnectorClaim:
    kinds = ["sink.webhook"]
    (one,) = await stores.connectors.claim("w", kinds, limit=5, lease_s=60)
    assert one.claim.name == connector_of("hook")
    return one.claim


async def test_a_cursor_moves_only_from_where_it_stands(stores: Stores) -> None:
    fleet, claim = await made(stores)
    epoch = fleet.places["c1"][2].epoch
    (due,) = await stores.sinks.due("hook", busy=(), limit=5)
    two, three = Cursor(epoch, 2, "x"), Cursor(epoch, 3, "y")
    assert await stores.sinks.move(claim, "hook", [CursorMove("c1", due.cursor, two)]) == {"c1"}
    assert await stores.sinks.move(claim, "hook", [CursorMove("c1", due.cursor, three)]) == set()
    (due,) = await stores.sinks.due("hook", busy=(), limit=5)
    assert due.cursor == two
    assert await stores.sinks.due("hook", busy=["c1"], limit=5) == []
    failure = Failure("c1", two, "no route", after_s=3_600)
    assert await stores.sinks.fail(claim, "hook", [failure]) == {"c1"}
    assert await stores.sinks.due("hook", busy=(), limit=5) == []
    assert await stores.sinks.retry("hook", "c1")
    assert len(await stores.sinks.due("hook", busy=(), limit=5)) == 1


async def test_who_lost_a_sink_moves_none_of_its_cursors(stores: Stores) -> None:
    fleet, claim = await made(stores)
    move = CursorMove("c1", Cursor(), Cursor(fleet.places["c1"][2].epoch, 1))
    (due,) = await stores.sinks.due("hook", busy=(), limit=5)
    move = CursorMove("c1", due.cursor, move.after)
    await stores.sinks.set_state("hook", "paused")
    assert await stores.sinks.move(claim, "hook", [move]) == set()
    await stores.sinks.set_state("hook", "active")
    assert await stores.sinks.move(claim, "hook", [move]) == set()
    assert not await stores.sinks.disable(claim, "hook", "gone")
    assert await stores.sinks.move(await claimed(stores), "hook", [move]) == {"c1"}


async def test_clocks_that_differ_lose_no_event(stores: Stores) -> None:
    """Hubs whose clocks differ by days: what is received later may say that it was earlier."""
    fleet, claim = await made(stores, 2)
    epoch = fleet.places["c1"][2].epoch
    (due,) = await stores.sinks.due("hook", busy=(), limit=5)
    rows = (await stores.sinks.read([due], 1))["c1"]
    assert [row.offset for row in rows] == [1]
    await fleet.commit("c1", 1, back_s=10 * 86_400)
    await fleet.commit("c1", 1)
    moved = Cursor(epoch, 2, "x", rows[0].received_us)
    await stores.sinks.move(claim, "hook", [CursorMove("c1", due.cursor, moved)])
    (due,) = await stores.sinks.due("hook", busy=(), limit=5)
    assert [row.offset for row in (await stores.sinks.read([due], 9))["c1"]] == [3, 4]


async def test_a_camera_without_a_cursor_counts_as_behind(stores: Stores) -> None:
    fleet = Fleet(stores)
    await fleet.add("c1")
    await fleet.commit("c1", 3)
    await make(stores, "hook", TO)
    lag = await stores.sinks.lag("hook")
    assert (lag.cameras, lag.events) == (1, 3)


async def test_a_busy_camera_is_given_no_replay_and_each_camera_one_at_a_time(
    stores: Stores,
) -> None:
    """A relay that was given one it cannot begin would ask again at once, for ever."""
    fleet, _ = await made(stores)
    epoch = fleet.places["c1"][2].epoch
    for first in (1, 4):
        replay = SinkReplay(0, "c1", epoch, first, first + 1)
        assert await stores.sinks.replay("hook", replay, who="x", audit=None)
    assert [one.next for one in await stores.sinks.replays("hook", busy=(), limit=5)] == [1]
    assert await stores.sinks.replays("hook", busy=["c1"], limit=5) == []
