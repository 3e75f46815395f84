"""Times of a clock that was stepped under a running stack are put back before they are compared,
and no others."""

from load_tests.checker.violations import Violation
from load_tests.faults.stack import names
from load_tests.faults.stepped_clocks import STEP_S, history, moves, steps, told_by_the_clock
from load_tests.faults.times import Strike
from load_tests.harness.history import Acknowledged, Move, ShownState
from load_tests.harness.scenarios import FAULTS, PAIRS, ROOM_S, faults, load

FORWARD, BACK = Strike("clock-forward", 100.0, 115.0, ""), Strike("clock-back", 200.0, 215.0, "")


def move(at_s: float) -> Move:
    return Move("cam", "a", "a", 1, "s", 1, "e", 1, at_s)


def test_a_witness_whose_clock_was_stepped_is_read_in_the_time_of_the_run() -> None:
    real = [99.0, 100.5, 114.0, 115.5, 199.5, 201.0, 214.0, 216.0, 300.0, 401.0, 405.0]
    told = [99.0, 400.5, 414.0, 115.5, 199.5, -99.0, -86.0, 216.0, 300.0, 401.0, 405.0]
    assert [one.at_s for one in moves([move(at_s) for at_s in told], [FORWARD, BACK])] == real
    assert [one.at_s for one in moves([move(at_s) for at_s in told], [])] == told
    assert steps([FORWARD, Strike("kill-hub", 1.0, 1.0, ""), BACK]) == [
        (100.0, 115.0, STEP_S),
        (200.0, 215.0, -STEP_S),
    ]


def test_receive_times_that_dashboards_were_shown_are_put_back_too() -> None:
    def shown(received_s: float, at_s: float) -> ShownState:
        return ShownState("w", "cam", 1, 1, "online", at_s, received_s)

    ack = Acknowledged("cam", "s", 1, 100.0)
    found = history(
        [ack, shown(99.0, 99.5), shown(410.0, 110.2), shown(415.0, 117.0), shown(-95.0, 205.2)],
        [FORWARD, BACK],
    )
    assert [one.received_s for one in found if isinstance(one, ShownState)] == [
        99.0,
        110.0,
        115.0,
        205.0,
    ]
    assert found[0] is ack
    stale = [shown(99.0, 410.0)]
    assert history(stale, [FORWARD]) == stale, "what is really old stays old"


def test_receive_times_that_go_back_with_a_clock_are_counted_and_no_violation() -> None:
    back = Violation("I9", "cam", "event 7 was received at a, before event 6")
    other = Violation("I9", "cam", "zone.entered of seq 7: stored at a, captured at b")
    assert told_by_the_clock([back, other], [BACK]) == ([other], 1)
    assert told_by_the_clock([back, other], []) == ([back, other], 0)


def test_every_fault_of_the_scenario_exists_and_has_its_room() -> None:
    whole = load("faults")
    there = {*names(), "links-cut", "links-silent", "links-one-way"}
    assert set(FAULTS) <= there
    assert [act.what for act in whole.acts] == [*FAULTS, *[""] * PAIRS]
    at_s = [act.at * whole.duration_s for act in whole.acts]
    assert all(
        after - before > 39.9
        for before, after in zip(at_s, [*at_s[1:], whole.duration_s + ROOM_S], strict=True)
    )
    some = load("faults:kill-hub,freeze-redis+kill-actor")
    assert [act.what for act in some.acts] == ["kill-hub", "freeze-redis+kill-actor"]
    assert faults(["kill-raylet"]).duration_s > faults(["kill-hub"]).duration_s
