"""How long a fault took to be noticed and to heal, and what dashboards said, from the histories of
a run (pure).

*Noticed*: the first time after it that a dashboard was told of any camera that it is not
``online``, or lost its connection. *Healed*: the first time after it from which, until the next
fault, acks come for every camera and every watching dashboard sees every camera ``online``.
"""

import itertools
from collections.abc import Mapping, Sequence

import msgspec

from load_tests.harness.history import Acknowledged, Operation, ShownState

ACK_GAP_S = 3.0  # seconds without any ack of a camera that count as an outage of it
AT_ONCE_S = 6.0  # seconds within which the faults of a pair begin
HEAL_S = 90.0  # seconds within which everything must be well after a fault is over


class Strike(msgspec.Struct, frozen=True):
    """A fault that was done: from `at_s` to `over_s` (wall clock; the same where it is one moment),
    with the proof that it happened. `back_s`: seconds after which a process that was ended was
    there again."""

    name: str
    at_s: float
    over_s: float
    proof: str
    back_s: float | None = None


class FaultTimes(msgspec.Struct, frozen=True):
    """Of one strike, in seconds after it began. `noticed_s`: None where no dashboard had to be
    told; `healed_s`: None where it did not heal before the next strike. `lasted_s`: of the fault
    itself. `told`: status and reason as dashboards got them, in the order of time.
    `acks_missing_s`: the longest time without an ack of a camera."""

    name: str
    lasted_s: float
    noticed_s: float | None
    healed_s: float | None
    acks_missing_s: float
    told: list[str]
    proof: str
    back_s: float | None = None


def times(
    strikes: Sequence[Strike], history: Sequence[Operation], end_s: float
) -> list[FaultTimes]:
    """One for each, in the order of time. `end_s`: when the devices stopped."""
    ordered = together(strikes)
    if not ordered:
        return []
    acks = _acks(history)
    states = _states(history)
    found = []
    for strike, until_s in zip(ordered, [*(one.at_s for one in ordered[1:]), end_s], strict=True):
        told: list[str] = []
        noticed = None
        bad_until = strike.at_s
        for watched in states.values():
            for state, next_s in zip(
                watched, [*(one.at_s for one in watched[1:]), end_s], strict=True
            ):
                if state.status == "online" or not strike.at_s <= state.at_s < until_s:
                    continue
                said = state.status + (f" ({state.reason})" if state.reason else "")
                if said not in told:
                    told.append(said)
                noticed = min(noticed if noticed is not None else state.at_s, state.at_s)
                bad_until = max(bad_until, next_s)
        missing_s = 0.0
        for moments in acks.values():
            inside = [
                strike.at_s,
                *(at_s for at_s in moments if strike.at_s < at_s < until_s),
                until_s,
            ]
            for before_s, after_s in itertools.pairwise(inside):
                missing_s = max(missing_s, after_s - before_s)
                if after_s - before_s > ACK_GAP_S:
                    bad_until = max(bad_until, after_s)
        found.append(
            FaultTimes(
                strike.name,
                round(strike.over_s - strike.at_s, 1),
                None if noticed is None else round(noticed - strike.at_s, 1),
                None if bad_until >= until_s else round(bad_until - strike.at_s, 1),
                round(missing_s, 1),
                told,
                strike.proof,
                strike.back_s,
            )
        )
    return found


def together(strikes: Sequence[Strike]) -> list[Strike]:
    """In the order of time; those that began within `AT_ONCE_S` of each other are one, named by
    both."""
    found: list[Strike] = []
    for strike in sorted(strikes, key=lambda strike: strike.at_s):
        if not found or strike.at_s > found[-1].at_s + AT_ONCE_S:
            found.append(strike)
            continue
        last = found[-1]
        back_s = max((one.back_s for one in (last, strike) if one.back_s is not None), default=None)
        found[-1] = Strike(
            f"{last.name} + {strike.name}",
            last.at_s,
            max(last.over_s, strike.over_s),
            f"{last.proof}; {strike.proof}",
            back_s,
        )
    return found


def unhealed(found: Sequence[FaultTimes]) -> list[str]:
    """What did not heal by itself within `HEAL_S` of its end."""
    return [
        f"{one.name}: "
        f"{'not healed before the next fault' if one.healed_s is None else f'healed after {one.healed_s:g} s'}"  # noqa: E501
        for one in found
        if one.healed_s is None or one.healed_s > one.lasted_s + HEAL_S
    ]


def table(found: Sequence[FaultTimes]) -> str:
    """The table of docs/correctness.md, in Markdown."""
    lines = [
        "| fault | detected within | healed within | process back within | without an ack | what "
        "a dashboard said |",
        "|---|---|---|---|---|---|",
    ]
    for one in found:
        lasted = f", over after {one.lasted_s:g} s" if one.lasted_s else ""
        cells = (
            one.name + lasted,
            _seconds(one.noticed_s, "nothing to tell"),
            _seconds(one.healed_s, "not healed"),
            _seconds(one.back_s, "–"),
            _seconds(one.acks_missing_s, "–"),
            ", ".join(f"`{said}`" for said in one.told) or "–",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _acks(history: Sequence[Operation]) -> Mapping[str, list[float]]:
    found: dict[str, list[float]] = {}
    for operation in history:
        if isinstance(operation, Acknowledged):
            found.setdefault(operation.camera, []).append(operation.at_s)
    return {camera: sorted(moments) for camera, moments in found.items()}


def _states(history: Sequence[Operation]) -> Mapping[tuple[str, str], list[ShownState]]:
    """By watcher and camera. A watcher that has lost its connection notes it of every camera."""
    found: dict[tuple[str, str], list[ShownState]] = {}
    for operation in history:
        if isinstance(operation, ShownState):
            found.setdefault((operation.watcher, operation.camera), []).append(operation)
    return found


def _seconds(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:g} s"
