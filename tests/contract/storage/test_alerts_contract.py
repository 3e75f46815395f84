"""`storage.ports.alerts.AlertStore`, and the alerts of a commit: the double and PostgreSQL."""

import asyncio
from typing import Any

import msgspec
import pytest

from actors.core.errors import Conflict
from actors.core.messages.alerts import AlertPoint
from actors.core.messages.commits import Position
from alerts import triage
from alerts.triage import Asked
from storage.ports.alerts import AlertRow
from tests.support.servers.store_fixtures import Contract, contract, servers
from tests.support.store_rows import event_of, row_of, running

__all__ = ["contract", "servers"]

Fleet = dict[str, tuple[int, Position]]
SINCE_US = 1_780_000_000_000_000


@pytest.fixture
async def fleet(contract: Contract) -> Fleet:
    return await running(contract.registry, contract.cameras, ["gate", "hall"])


async def happen(contract: Contract, fleet: Fleet, camera: str, *points: AlertPoint) -> None:
    """These points changed with an event of the camera."""
    generation, position = fleet[camera]
    row = row_of(camera, generation, position, events=[event_of(camera, position)])
    row = msgspec.structs.replace(row, alerts=list(points))
    assert await contract.cameras.commit([row]) == {camera}
    fleet[camera] = (generation, row.after)


def point(rule: str = "forced", **fields: Any) -> AlertPoint:
    known = {"active": True, "occurrences": 1, "since_us": SINCE_US, "severity": "critical"}
    return AlertPoint(rule, **{"place": "", **known, **fields})


async def act(contract: Contract, name: Any, who: str = "ann", **asked: Any) -> AlertRow:
    wanted = Asked(name, who, **asked)
    row = await contract.alerts.act(
        "gate",
        "forced",
        "",
        lambda row: triage.decide(row, wanted),
        act=name,
        who=who,
        note=asked.get("note", ""),
        audit=None,
    )
    assert row is not None
    return row


def states(rows: list[AlertRow]) -> dict[str, str]:
    return {f"{row.camera}/{row.rule}": triage.state_of(row) for row in rows}


async def test_the_worst_comes_first_and_then_the_oldest(contract: Contract, fleet: Fleet) -> None:
    await happen(contract, fleet, "gate", point("b", severity="warning"), point("a"))
    await happen(contract, fleet, "hall", point("c", since_us=SINCE_US - 1))
    found = await contract.alerts.select(limit=10)
    assert [row.rule for row in found] == ["c", "a", "b"]
    assert [row.rule for row in await contract.alerts.select(limit=2)] == ["c", "a"]
    assert states(await contract.alerts.select(camera="hall", limit=10)) == {
        "hall/c": "unacknowledged"
    }
    assert states(await contract.alerts.select(exclude=["gate"], limit=10)).keys() == {"hall/c"}
    assert await contract.alerts.select(site="elsewhere", limit=10) == []


async def test_a_row_that_does_not_move_changes_no_alert(contract: Contract, fleet: Fleet) -> None:
    """An actor that lost its camera raises and clears nothing, whatever it believes."""
    generation, position = fleet["gate"]
    await happen(contract, fleet, "gate", point())
    late = row_of("gate", generation, position, events=[event_of("gate", position)])
    late = msgspec.structs.replace(late, alerts=[point(active=False, occurrences=7)])
    assert await contract.cameras.commit([late]) == set()
    (row,) = await contract.alerts.select(limit=10)
    assert (row.active, row.occurrences) == (True, 1)


async def test_one_alert_for_a_point_whatever_comes_to_it(contract: Contract, fleet: Fleet) -> None:
    await happen(contract, fleet, "gate", point())
    await happen(contract, fleet, "gate", point(occurrences=1_000))
    await happen(contract, fleet, "gate", point(place="door"))
    found = await contract.alerts.select(limit=10)
    assert sorted((row.place, row.occurrences) for row in found) == [("", 1_000), ("door", 1)]


async def test_over_and_seen_is_listed_no_more_and_what_returns_is(
    contract: Contract, fleet: Fleet
) -> None:
    await happen(contract, fleet, "gate", point())
    assert triage.state_of(await act(contract, "acknowledge", occurrence=1)) == "acknowledged"
    await happen(contract, fleet, "gate", point(active=False))
    assert await contract.alerts.select(limit=10) == []
    assert states(await contract.alerts.select(every=True, limit=10)) == {"gate/forced": "normal"}
    await happen(contract, fleet, "gate", point(occurrences=2))
    assert states(await contract.alerts.select(limit=10)) == {"gate/forced": "unacknowledged"}
    await happen(contract, fleet, "gate", point(active=False, occurrences=2))
    assert states(await contract.alerts.select(limit=10)) == {"gate/forced": "returned"}


async def test_of_two_that_acknowledge_at_once_one_is_told_who_was_first(
    contract: Contract, fleet: Fleet
) -> None:
    winners = []
    for number in range(1, 6):  # from the second on every connection is open
        await happen(contract, fleet, "gate", point(occurrences=number))
        outcomes = await asyncio.gather(
            act(contract, "acknowledge", "ann", occurrence=number),
            act(contract, "acknowledge", "bob", occurrence=number),
            return_exceptions=True,
        )
        (late,) = [one for one in outcomes if isinstance(one, Conflict)]
        (done,) = [one for one in outcomes if isinstance(one, AlertRow)]
        assert str(done.work.acknowledged_by) in late.detail
        winners.append(("acknowledge", done.work.acknowledged_by))
    acts = await contract.alerts.acts("gate", "forced", "", 10)
    assert [(one.act, one.who) for one in acts][::-1] == winners


async def test_what_was_done_is_kept_in_its_order(contract: Contract, fleet: Fleet) -> None:
    await happen(contract, fleet, "gate", point())
    await act(contract, "note", note="a fox")
    await act(contract, "assign", to="bob")
    await act(contract, "verdict", verdict="nuisance")
    row = await contract.alerts.read("gate", "forced", "")
    assert row is not None
    assert (row.work.version, row.work.assignee, row.work.verdict) == (3, "bob", "nuisance")
    acts = await contract.alerts.acts("gate", "forced", "", 10)
    assert [one.act for one in acts] == ["verdict", "assign", "note"]
    assert acts[-1].note == "a fox"


async def test_of_what_never_was_there_is_nothing_to_do(contract: Contract, fleet: Fleet) -> None:
    assert await contract.alerts.read("gate", "forced", "") is None
    with pytest.raises(AssertionError):
        await act(contract, "note", note="x")


async def test_a_deleted_camera_has_no_alerts(contract: Contract, fleet: Fleet) -> None:
    await happen(contract, fleet, "gate", point())
    record = await contract.registry.camera("gate")
    assert record is not None
    assert await contract.registry.remove_camera("gate", expected_version=record.version)
    assert await contract.alerts.select(limit=10, every=True) == []
    assert await contract.alerts.read("gate", "forced", "") is None
