"""The verdict of a run: one line per invariant, from the checker's violations and from what the dashboards saw (pure)."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from hub import close_codes
from load_tests.checker import Violation
from load_tests.dashboard_fleet import FleetReport

INVARIANTS: Mapping[str, str] = {
    "I1": "what was acked is stored",
    "I2": "nothing is stored twice",
    "I3": "offsets have no hole, sequences go forward",
    "I4": "one owner per generation, and only it writes",
    "I5": "dashboards get every event once and in order, or are told",
    "I6": "staleness is told",
    "I7": "nothing is stored or shown that nobody sent",
    "I8": "every loss is explained",
    "I9": "times are those of the capture",
    "I10": "memory and queues come back after a fault",
    "I11": "nothing of an old generation after a newer one",
    "I12": "no session ends without a documented code",
}
NOT_RECORDED = {
    "I6": "lean dashboards do not record the states they are shown (tests/acceptance/test_faults.py does)",
    "I10": "the run has no quiet end to compare with",
    "I11": "lean dashboards do not record generations",
}
_CODES = {value.code for value in vars(close_codes).values() if isinstance(value, close_codes.Close)} | {1000, 1001, 1012}


class Line(msgspec.Struct, frozen=True):
    """An invariant: ``green``, ``red`` or ``not checked``; `violations` counts, `first` is the first of them, or why it was not checked."""

    invariant: str
    means: str
    status: Literal["green", "red", "not checked"]
    violations: int = 0
    first: str = ""


def judge(violations: Sequence[Violation], seen: FleetReport, *, dashboards: int) -> list[Line]:
    """All lines. `seen`: everything that the dashboards reported, summed up."""
    found: dict[str, list[str]] = {name: [] for name in INVARIANTS}
    for violation in violations:
        found[violation.invariant].append(f"{violation.camera}: {violation.detail}")
    for count, what in (
        (seen.twice, "events came twice"),
        (seen.gaps, "silent gaps"),
        (seen.unrecovered, "dashboards that came back were not given what they missed"),
        (dashboards - seen.live, "dashboards were not live at the end"),
    ):
        if count:
            found["I5"].append(f"{count} {what}")
    found["I12"] += [f"{count} sessions ended with {code}" for code, count in seen.closes.items() if code not in _CODES]
    found["I12"] += [f"a dashboard was told {error}" for error in seen.errors]
    lines = []
    for name, means in INVARIANTS.items():
        if found[name]:
            lines.append(Line(name, means, "red", len(found[name]), found[name][0]))
        elif name in NOT_RECORDED or (name in ("I5", "I12") and not dashboards):
            lines.append(Line(name, means, "not checked", 0, NOT_RECORDED.get(name, "no dashboards")))
        else:
            lines.append(Line(name, means, "green"))
    return lines


def green(lines: Sequence[Line]) -> bool:
    """Whether nothing is red."""
    return all(line.status != "red" for line in lines)


def summed(reports: Sequence[FleetReport]) -> FleetReport:
    """Many reports as one; `live` is the last one's."""
    closes: dict[int, int] = {}
    for report in reports:
        for code, count in report.closes.items():
            closes[code] = closes.get(code, 0) + count
    return FleetReport(
        reports[-1].live if reports else 0, sum(r.lost for r in reports), [s for r in reports for s in r.back_s],
        sum(r.unrecovered for r in reports), sum(r.twice for r in reports), sum(r.gaps for r in reports), sum(r.events for r in reports),
        [e for r in reports for e in r.errors], closes, [],
    )  # fmt: skip
