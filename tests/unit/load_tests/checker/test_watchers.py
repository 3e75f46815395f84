"""What dashboards are shown: each invariant of theirs is silent about a sound history and names the
offence in a broken one."""

from collections.abc import Sequence

import pytest

from actors.core.errors import TooMany
from cluster.event_proofs import CameraTotals
from hub.protocol import disconnects
from load_tests.checker.violations import Violation, excerpt
from load_tests.checker.watchers import (
    DISCONNECTED,
    UNKNOWN,
    Lane,
    aged,
    documented,
    never_older,
    told,
    watched,
)
from load_tests.harness.history import (
    Closed,
    LostOnItsWay,
    Move,
    Operation,
    ShownEvent,
    ShownState,
    Stored,
    ToldGap,
    WatcherPosition,
)

ROW = CameraTotals("cam", "s1", 9, "e1", 6, "", {}, {})
STORED = {("e1", offset): {"type": "zone.entered", "time": f"t{offset}"} for offset in range(1, 7)}


def shown(offset: int, *, time: str = "", kind: str = "zone.entered") -> ShownEvent:
    return ShownEvent("w", "cam", "e1", offset, kind, time or f"t{offset}")


def of(lane: Lane, *, whole: bool = True) -> set[str]:
    return {
        violation.invariant for violation in watched("cam", "w", lane, STORED, ROW, whole=whole)
    }


START = WatcherPosition("w", "cam", "e1", 2)


@pytest.mark.parametrize(
    ("lane", "broken"),
    [
        ([START, shown(3), shown(4), shown(5), shown(6)], set()),
        ([START, shown(3), ToldGap("w", "cam", 5), shown(6)], set()),
        ([START, shown(3), ToldGap("w", "cam", UNKNOWN), shown(6)], set()),
        ([START, shown(3), ToldGap("w", "cam", UNKNOWN)], set()),
        ([START, shown(3), shown(5), shown(6)], {"I5"}),
        ([START, shown(3), shown(3), shown(4), shown(5), shown(6)], {"I5"}),
        ([START, shown(3), shown(4)], {"I5"}),
        ([START, shown(3), shown(4), shown(5, kind="line.crossed"), shown(6)], {"I7"}),
        ([START, shown(3), shown(4), shown(5), shown(6), shown(7)], {"I7"}),
        ([START, shown(3, time="later"), shown(4), shown(5), shown(6)], {"I9"}),
    ],
)
def test_events_come_once_in_order_or_are_told_to_be_missing(lane: Lane, broken: set[str]) -> None:
    assert of(lane) == broken


def test_who_watches_while_it_goes_on_need_not_have_seen_the_end() -> None:
    assert of([START, shown(3)], whole=False) == set()


def state(generation: int, offset: int, status: str, at_s: float) -> ShownState:
    return ShownState("w", "cam", generation, offset, status, at_s)


MOVE = Move("cam", "a", "a", 1, "s1", 9, "e1", 3, 100.0)


@pytest.mark.parametrize(
    ("states", "broken"),
    [
        (
            [
                state(1, 2, "online", 90.0),
                state(1, 3, "online", 101.0),
                state(1, 3, "online", 130.0),
            ],
            False,
        ),
        (
            [state(1, 2, "online", 90.0), state(1, 2, "stale", 106.0), state(1, 2, "stale", 130.0)],
            False,
        ),
        (
            [
                state(1, 2, "online", 90.0),
                state(1, 2, DISCONNECTED, 99.0),
                state(1, 3, "online", 130.0),
            ],
            False,
        ),
        ([state(1, 2, "online", 90.0), state(1, 2, "online", 109.0)], False),
        ([state(1, 2, "online", 90.0), state(1, 2, "online", 130.0)], True),
        (
            [state(1, 2, "online", 90.0), state(1, 2, "stale", 112.0), state(1, 2, "stale", 130.0)],
            True,
        ),
    ],
)
def test_staleness_is_told_within_ten_seconds(states: Sequence[ShownState], broken: bool) -> None:
    assert {violation.invariant for violation in told("cam", "w", states, [MOVE], ROW)} == (
        {"I6"} if broken else set()
    )


@pytest.mark.parametrize(
    ("told_at", "carries_at", "broken"),
    [
        (134.9, 160.0, False),
        (136.1, 160.0, True),  # pings stayed away, and nobody was told
        (124.9, 115.0, False),
        (126.1, 115.0, True),  # the link carries again, and what is newer does not come
    ],
)
def test_who_is_cut_off_one_way_is_told_by_its_own_client(
    told_at: float, carries_at: float, broken: bool
) -> None:
    """Nothing reaches a dashboard whose link loses what goes to it: 10 s cannot be asked for."""
    states = [
        state(1, 2, "online", 90.0),
        state(1, 2, DISCONNECTED, told_at),
        state(1, 3, "online", 170.0),
    ]
    lost = [LostOnItsWay("w", 100.0, carries_at, 35.0)]
    assert bool(list(told("cam", "w", states, [MOVE], ROW, lost))) is broken
    sent_at = [95.0, 100.0, 105.0]
    seen = [ShownState("w", "cam", 1, 2, one.status, one.at_s, 95.0) for one in states]
    assert bool(list(aged("cam", "w", seen, sent_at, lost))) is broken
    assert list(aged("cam", "w", seen, sent_at))


def test_a_state_of_what_is_not_committed_is_caught() -> None:
    assert [
        violation.invariant for violation in told("cam", "w", [state(1, 7, "online", 1.0)], [], ROW)
    ] == ["I7"]


def test_an_old_generation_after_a_newer_one_is_caught_inside_a_session_alone() -> None:
    sound = [
        state(1, 1, "online", 1.0),
        state(2, 1, "online", 2.0),
        state(2, 1, DISCONNECTED, 3.0),
        state(1, 1, "stale", 4.0),
    ]
    assert list(never_older("cam", "w", sound)) == []
    (violation,) = never_older("cam", "w", [sound[0], sound[1], state(1, 1, "online", 3.0)])
    assert (violation.invariant, violation.watcher) == ("I11", "w")


@pytest.mark.parametrize(
    ("code", "reason", "broken"),
    [
        (disconnects.SHUTDOWN.code, "shutdown; reconnect_after_ms=3", False),
        (TooMany.close_code, "beyond the credits", False),
        (4002, "this frame is no message", False),
        (1000, "", False),
        (1002, "", False),
        (0, "", True),
        (4242, "who knows", True),
        (1006, "", True),
        (3001, " ", True),
    ],
)
def test_every_end_has_a_documented_code_and_a_reason(code: int, reason: str, broken: bool) -> None:
    found = list(documented([Closed("raw-0/1", code, reason, 1.0)]))
    assert bool(found) == broken
    assert all(violation.invariant == "I12" for violation in found)


def test_an_excerpt_shows_what_lies_around_the_offence() -> None:
    lane: Lane = [START, *(shown(offset) for offset in (3, 5, 6))]
    history: list[Operation] = [*lane, Closed("other", 0, "", 1.0)]
    (violation,) = watched("cam", "w", lane, STORED, ROW, whole=True)
    lines = excerpt(violation, history, Stored([], [], [], [MOVE]))
    assert [line.split()[0] for line in lines] == ["ShownEvent", "ShownEvent", "ShownEvent", "Move"]
    assert '"offset":5' in lines[1]
    assert excerpt(Violation("I12", "other", "", watcher="other"), history, Stored([], [])) == [
        'Closed {"by":"other","code":0,"reason":"","at_s":1.0,"camera":""}'
    ]


def at(status: str, received_s: float, at_s: float) -> ShownState:
    return ShownState("w", "cam", 1, 3, status, at_s, received_s)


SENDING = [float(second) for second in range(100, 200)]  # once a second


@pytest.mark.parametrize(
    ("states", "broken"),
    [
        ([at("online", 100.0 + n, 100.2 + n) for n in range(90)], False),
        ([at("online", 110.0, 110.2), at("stale", 110.0, 118.0), at("stale", 110.0, 180.0)], False),
        (
            [
                at("online", 110.0, 110.2),
                at(DISCONNECTED, 110.0, 118.0),
                at("online", 150.0, 150.2),
            ],
            False,
        ),
        ([at("online", 110.0, 110.2), at("stale", 110.0, 126.0)], True),  # told, too late
        (
            [at("online", 110.0, 110.2), at("online", 111.0, 160.0)],
            True,
        ),  # nothing was committed, nobody said so
        (
            [at("online", 110.0 + n / 10, 150.0 + n) for n in range(20)],
            True,
        ),  # always something new, and all of it old
        (
            [
                at("stale", 110.0, 118.0),
                *(at("online", 110.0 + 20 * n, 160.0 + n) for n in range(3)),
            ],
            False,
        ),  # a backlog passes by
        (
            [at("online", 199.0, 199.2), at("online", 199.0, 260.0)],
            False,
        ),  # the device sent nothing more
        ([at("online", 0.0, 110.2), at("online", 0.0, 160.0)], False),  # not known
    ],
)
def test_what_is_shown_as_present_is_not_older_than_what_the_device_sends(
    states: Sequence[ShownState], broken: bool
) -> None:
    found = list(aged("cam", "w", states, SENDING))
    assert [violation.invariant for violation in found] == ["I6"] * broken
