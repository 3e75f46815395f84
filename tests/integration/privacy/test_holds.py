"""Holds win over every deletion; a hold and an erasure at one moment are decided by one lock."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from actors.core.errors import Conflict
from actors.core.settings import DeadLettersSettings, SessionsSettings
from actors.core.times import to_us
from storage.events.partitions import drop_old, partition_name
from storage.events.personal_retention import erase_old
from storage.ports.privacy import Scope
from storage.postgres.people.letters import forget_letter_keys
from storage.postgres.row_retention import forget
from tests.support.privacy.rig import FIRST, SECOND, Rig, no_audit


async def plates(rig: Rig) -> list[object]:
    return [one["data"]["plate"] for one in await rig.shown()]


async def test_a_hold_that_was_first_holds_the_erasure_up(rig: Rig) -> None:
    id = await rig.approved("QX-PLANT-1")
    await rig.requests.place_hold(rig.hold(), audit=no_audit)
    found = await rig.carried_out(id)
    assert (found.state, found.outcome) == ("held", "hold h1")
    assert await plates(rig) == [FIRST["plate"], SECOND["plate"]]
    assert await rig.requests.release_hold("h1", "cy", audit=no_audit)
    assert await rig.requests.approve(id, "bea", audit=no_audit)
    assert (await rig.carried_out(id)).state == "done"
    assert await plates(rig) == [{"erased": "plates"}, SECOND["plate"]]


async def test_a_hold_comes_too_late_once_the_erasure_is_under_way(rig: Rig) -> None:
    id = await rig.approved("QX-PLANT-1")
    job = await rig.job()
    seen: list[str] = []

    class Halfway:
        async def step(self, name, work):  # type: ignore[no-untyped-def]
            await job.step(name, work)
            if name == "begin":
                with pytest.raises(Conflict, match=id):
                    await rig.requests.place_hold(rig.hold(), audit=no_audit)
                seen.append(name)

    await rig.erasure(id).run(Halfway())
    assert seen == ["begin"]
    assert (await rig.request(id)).state == "done"
    await rig.requests.place_hold(rig.hold(), audit=no_audit)  # of what is left


async def test_at_the_same_moment_one_of_them_wins_whole(rig: Rig) -> None:
    """Whoever has the lock is first; the other one waits for it and sees what it did."""
    database = rig.stores.database
    for number, first in enumerate(("hold", "erasure")):
        id = await rig.approved("QX-PLANT-2", id=f"{number}" * 32)
        hold = rig.hold(id=f"h-{number}")
        erasing = rig.carried_out(id)
        placing = rig.requests.place_hold(hold, audit=no_audit)
        async with database.transaction(writing=True) as connection:
            await connection.execute("SELECT pg_advisory_xact_lock(7306650152148)")
            order = (placing, erasing) if first == "hold" else (erasing, placing)
            tasks = []
            for waiting, work in enumerate(order, start=1):
                tasks.append(asyncio.ensure_future(work))
                await until_waiting(rig, waiting)
        done = await asyncio.gather(*tasks, return_exceptions=True)
        state = (await rig.request(id)).state
        if first == "hold":
            assert (state, await plates(rig)) == ("held", [FIRST["plate"], SECOND["plate"]])
            assert await rig.requests.release_hold(hold.id, "cy", audit=no_audit)
        else:
            assert (state, await plates(rig)) == ("done", [FIRST["plate"], {"erased": "plates"}])
            assert isinstance(done[1], Conflict)


async def until_waiting(rig: Rig, count: int) -> None:
    """So many wait for the lock, in the order in which they came."""
    statement = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    async with asyncio.timeout(30):
        while await rig.stores.database.fetch_value(statement) < count:
            await asyncio.sleep(0.01)


async def test_a_hold_elsewhere_or_over_is_in_nobodys_way(rig: Rig) -> None:
    id = await rig.approved("QX-PLANT-1")
    scope = msgspec.structs.replace
    later = scope(rig.hold().scope, since_us=rig.hold().scope.until_us, until_us=2**52)
    await rig.requests.place_hold(rig.hold(id="h1", scope=later), audit=no_audit)
    other = Scope(("cam-9",), 0, 2**52)
    await rig.requests.place_hold(rig.hold(id="h2", scope=other), audit=no_audit)
    await rig.requests.place_hold(rig.hold(id="h3", ends_us=1), audit=no_audit)
    await rig.requests.place_hold(rig.hold(id="h4"), audit=no_audit)
    assert await rig.requests.release_hold("h4", "cy", audit=no_audit)
    assert not await rig.requests.release_hold("h4", "cy", audit=no_audit)
    assert (await rig.carried_out(id)).state == "done"


LONG_AGO = datetime(2026, 11, 1, tzinfo=UTC)


async def left(rig: Rig) -> dict[str, int]:
    """How many values, keys, events and whole dead letters of cam-1 and of cam-2 there are."""
    statement = (
        "SELECT (SELECT count(*) FROM event_personal WHERE camera = 'cam-1'), "
        "(SELECT count(*) FROM event_personal WHERE camera = 'cam-2'), "
        "(SELECT count(*) FROM events WHERE camera = 'cam-1'), "
        "(SELECT count(*) FROM events WHERE camera = 'cam-2'), "
        "(SELECT count(*) FROM dead_letters)"
    )
    (row,) = await rig.stores.database.fetch(statement)
    names = ("values-1", "values-2", "events-1", "events-2", "letters")
    keys = await rig.keys.ids()
    found = dict(zip(names, row, strict=True))
    return found | {
        f"keys-{number}": sum(f"/cam-{number}/" in key for key in keys) for number in (1, 2)
    }


async def retain(rig: Rig) -> None:
    """All that is old goes."""
    database = rig.stores.database
    await erase_old(database, rig.keys, LONG_AGO)
    await forget(database, DeadLettersSettings(keep_days=1), SessionsSettings())
    await forget_letter_keys(database, rig.keys)
    await drop_old(database, 1)


async def test_retention_leaves_what_is_held(rig: Rig) -> None:
    before = await left(rig)
    one = msgspec.structs.replace(rig.hold().scope, cameras=("cam-1",))
    await rig.requests.place_hold(rig.hold(scope=one), audit=no_audit)
    await retain(rig)
    gone = {"values-2": 0, "events-2": 0, "keys-2": 0}
    assert await left(rig) == before | gone
    assert await plates(rig) == [FIRST["plate"], SECOND["plate"]]
    assert await rig.requests.release_hold("h1", "cy", audit=no_audit)
    await retain(rig)
    assert await left(rig) == dict.fromkeys(before, 0)


async def test_a_held_day_is_not_dropped(rig: Rig) -> None:
    """The partition of a day stays whole while a hold reaches into it."""
    database = rig.stores.database
    day = (datetime.now(UTC) - timedelta(days=40)).date()
    name = partition_name(day)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    await database.fetch(
        f"CREATE TABLE {name} PARTITION OF events FOR VALUES FROM ('{start}') "
        f"TO ('{start + timedelta(days=1)}')"
    )
    reaching = to_us(start + timedelta(hours=23))
    scope = Scope(("cam-1",), reaching, reaching + 1)
    await rig.requests.place_hold(rig.hold(scope=scope), audit=no_audit)
    report = await drop_old(database, 30)
    assert (report.held, [one.partition for one in report.dropped]) == ([name], ["events_default"])
    await rig.requests.release_hold("h1", "cy", audit=no_audit)
    report = await drop_old(database, 30)
    assert (report.held, [one.partition for one in report.dropped]) == ([], [name])
