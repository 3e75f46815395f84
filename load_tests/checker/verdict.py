"""The verdict of a run: one line per invariant, from the checker's violations and from what the run
itself has seen (pure)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from load_tests.checker.violations import Violation
from load_tests.drivers.dashboard_plan import FleetReport

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
    "I13": "everything heals without a hand",
    "growth": "memory, files, keys, tables and WAL stay flat",
    "faults": "everything that was planned to go wrong did",
}
OF_DASHBOARDS = ("I5", "I6", "I11")


class InvariantVerdict(msgspec.Struct, frozen=True):
    """An invariant: ``green``, ``red`` or ``not checked``; `violations` counts, `first` is the
    first of them, or why it was not checked. `excerpt`: the lines of the histories and moves of
    rows around the first."""

    invariant: str
    means: str
    status: Literal["green", "red", "not checked"]
    violations: int = 0
    first: str = ""
    excerpt: list[str] = []


class RunObservations(msgspec.Struct, frozen=True):
    """What the run itself has seen. `fleet`: everything the dashboards reported, summed up;
    `dashboards`: how many there are; `resources`: what has not come back (None: not looked at);
    `grown`: what is not flat (None: not watched); `unhealed`: faults (None: none were done);
    `missing`: planned faults that did not happen (None: none were planned)."""

    fleet: FleetReport
    dashboards: int
    resources: list[str] | None = None
    missing: list[str] | None = None
    grown: list[str] | None = None
    unhealed: list[str] | None = None


def judge(
    violations: Sequence[Violation],
    seen: RunObservations,
    excerpt: Callable[[Violation], list[str]] = lambda violation: [],
) -> list[InvariantVerdict]:
    """All lines."""
    found: dict[str, list[str]] = {name: [] for name in INVARIANTS}
    first: dict[str, Violation] = {}
    for violation in violations:
        found[violation.invariant].append(f"{violation.camera}: {violation.detail}")
        first.setdefault(violation.invariant, violation)
    fleet = seen.fleet
    for count, what in (
        (fleet.twice, "events came twice"),
        (fleet.gaps, "silent gaps"),
        (fleet.unrecovered, "dashboards that came back were not given what they missed"),
        (seen.dashboards - fleet.live, "dashboards were not live at the end"),
    ):
        if count:
            found["I5"].append(f"{count} {what}")
    found["I12"] += [f"a dashboard was told {error}" for error in fleet.errors]
    found["I10"] += seen.resources or []
    found["faults"] += seen.missing or []
    found["growth"] += seen.grown or []
    found["I13"] += seen.unhealed or []
    unchecked = dict.fromkeys(OF_DASHBOARDS, "no dashboards") if not seen.dashboards else {}
    if seen.resources is None:
        unchecked["I10"] = "nobody looked"
    if seen.unhealed is None:
        unchecked["I13"] = "no faults were done"
    if seen.grown is None:
        unchecked["growth"] = "not watched"
    if seen.missing is None:
        unchecked["faults"] = "none were planned"
    lines = []
    for name, means in INVARIANTS.items():
        if found[name]:
            shown = excerpt(first[name]) if name in first else []
            lines.append(
                InvariantVerdict(name, means, "red", len(found[name]), found[name][0], shown)
            )
        elif name in unchecked:
            lines.append(InvariantVerdict(name, means, "not checked", 0, unchecked[name]))
        else:
            lines.append(InvariantVerdict(name, means, "green"))
    return lines


def green(lines: Sequence[InvariantVerdict]) -> bool:
    """Whether nothing is red."""
    return all(line.status != "red" for line in lines)


def summed(reports: Sequence[FleetReport], live: int) -> FleetReport:
    """Many reports as one; `live` is how many were at the end, in all processes together."""
    closes: dict[int, int] = {}
    for report in reports:
        for code, count in report.closes.items():
            closes[code] = closes.get(code, 0) + count
    return FleetReport(
        live,
        sum(r.lost for r in reports),
        [s for r in reports for s in r.back_s],
        sum(r.unrecovered for r in reports),
        sum(r.twice for r in reports),
        sum(r.gaps for r in reports),
        sum(r.events for r in reports),
        [e for r in reports for e in r.errors],
        closes,
        [],
    )
