"""What the checker says of ids that are given out twice and of gaps without bound; ranges cost
nothing for their size."""

import msgspec

from load_tests.checker.checker import GAP_MOST, check
from load_tests.checker.ranges import count, minus, union
from load_tests.checker.violations import Violation
from load_tests.harness.history import Declared, Operation, Sent, ShownEvent, Stored
from tests.property.test_camera_machine import SCENE, stream
from tests.support.load.runs import Run


def of(history: list[Operation], stored: Stored) -> list[Violation]:
    return check(history, stored)


def test_an_event_id_that_names_two_events_is_caught() -> None:
    def shown(watcher: str, kind: str, time: str) -> ShownEvent:
        return ShownEvent(watcher, "cam", "e1", 7, kind, time)

    twice = [shown("w1", "zone.entered", "t1"), shown("w2", "line.crossed", "t2")]
    (found,) = [one for one in of(list(twice), Stored([], [], [], [])) if one.invariant == "I2"]
    assert "e1/7" in found.detail
    same = [shown("w1", "zone.entered", "t1"), shown("w2", "zone.entered", "t1")]
    assert [one for one in of(list(same), Stored([], [], [], [])) if one.invariant == "I2"] == []


def run_with_a_gap(first: int, last: int, *, told: bool) -> list[str]:
    """I8 of a run in which this gap is stored; `told`: the device declared it."""
    run = Run(SCENE, stream(1))
    run.send(1, 40)
    run.gap(41, 60)
    run.commit()
    history, stored, events = run.history, run.stored(), []
    for event in stored.events:
        body = msgspec.json.decode(event.body)
        if body["type"] == "stream.gap":
            body["data"] |= {"first_seq": first, "last_seq": last}
        events.append(msgspec.structs.replace(event, body=msgspec.json.encode(body).decode()))
    if told:
        history = [*history, Declared("cam-1", "s1", first, last, "shed")]
    found = check(history, msgspec.structs.replace(stored, events=events))
    return [one.detail for one in found if one.invariant == "I8"]


def test_a_gap_without_bound_is_caught_at_once_and_one_of_credits_is_none() -> None:
    assert run_with_a_gap(41, 60, told=False) == []
    assert any(str(GAP_MOST) in detail for detail in run_with_a_gap(41, 2**52, told=True))
    assert any(
        "the edge did not declare it" in detail for detail in run_with_a_gap(41, 70, told=False)
    )
    assert any("no event says so" in detail for detail in run_with_a_gap(41, 50, told=False))


def test_a_declared_gap_without_bound_of_which_no_event_tells_costs_no_memory() -> None:
    history: list[Operation] = [Sent("cam", "s1", 1, b""), Declared("cam", "s1", 2, 2**53, "shed")]
    assert all(one.invariant == "I8" for one in of(history, Stored([], [], [], [])))


def test_ranges() -> None:
    assert union([(5, 6), (1, 2), (3, 3), (9, 8), (6, 7)]) == [(1, 3), (5, 7)]
    assert minus([(1, 10)], [(2, 3), (5, 5), (9, 20)]) == [(1, 1), (4, 4), (6, 8)]
    assert minus([(1, 3), (5, 9)], [(3, 6)]) == [(1, 2), (7, 9)]
    assert minus([(4, 3)], []) == []
    assert count(minus([(1, 2**53)], [(7, 7)])) == 2**53 - 1
