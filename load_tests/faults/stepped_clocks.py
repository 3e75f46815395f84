"""Times that a stepped clock wrote down, put back into the time of the run, before the checker
compares them with others (pure)."""

from collections.abc import Sequence

import msgspec

from load_tests.checker.violations import Violation
from load_tests.faults.times import Strike
from load_tests.harness.history import Move, Operation, ShownState

STEP_S = 300.0  # seconds by which clocks are stepped
SLACK_S = 2.0  # seconds around a step in which it may be seen
SHOWN_S = 60.0  # seconds after a step for which what was received in it is shown as the newest


def steps(strikes: Sequence[Strike]) -> list[tuple[float, float, float]]:
    """(from, to, seconds) of each, in the time of the run."""
    ahead_s = {"clock-forward": STEP_S, "clock-back": -STEP_S}
    return [(one.at_s, one.over_s, ahead_s[one.name]) for one in strikes if one.name in ahead_s]


def moves(found: Sequence[Move], strikes: Sequence[Strike]) -> list[Move]:
    """The witness's moves, in the order in which it numbered them. A time is put back where that
    fits better behind the one before."""
    stepped, last_s, put = steps(strikes), None, []
    for move in found:
        at_s = move.at_s
        for first_s, until_s, ahead_s in stepped:
            real_s = move.at_s - ahead_s
            if (
                first_s - SLACK_S <= real_s <= until_s + SLACK_S
                and last_s is not None
                and abs(real_s - last_s) < abs(at_s - last_s)
            ):
                at_s = real_s
        last_s = at_s
        put.append(move if at_s == move.at_s else msgspec.structs.replace(move, at_s=at_s))
    return put


def history(found: Sequence[Operation], strikes: Sequence[Strike]) -> list[Operation]:
    """What dashboards were shown, with the receive times of a stepped clock put back."""
    stepped = steps(strikes)
    return [
        _shown(one, stepped) if stepped and isinstance(one, ShownState) else one for one in found
    ]


def _shown(state: ShownState, stepped: Sequence[tuple[float, float, float]]) -> ShownState:
    for first_s, until_s, ahead_s in stepped:
        real_s = state.received_s - ahead_s
        fits = (
            first_s - SLACK_S <= real_s <= until_s + SLACK_S
            and first_s <= state.at_s <= until_s + SHOWN_S
        )
        if (
            state.received_s
            and fits
            and abs(state.at_s - real_s) < abs(state.at_s - state.received_s)
        ):
            return msgspec.structs.replace(state, received_s=real_s)
    return state


def told_by_the_clock(
    violations: Sequence[Violation], strikes: Sequence[Strike]
) -> tuple[list[Violation], int]:
    """Violations without receive times that went back where a clock did; and how many those
    were."""
    if not steps(strikes):
        return list(violations), 0
    kept = [
        one for one in violations if not (one.invariant == "I9" and "was received at" in one.detail)
    ]
    return kept, len(violations) - len(kept)
