"""What a run leaves behind, as the JSON beside its report; and two of them compared (pure)."""

import statistics
from collections.abc import Callable, Sequence

import msgspec

from load_tests.checker.verdict import InvariantVerdict
from load_tests.faults.times import FaultTimes
from load_tests.harness.environment import MachineInfo, described
from load_tests.harness.histogram import Histogram
from load_tests.harness.scenarios import Scenario
from load_tests.runs.growth import Slope

NOISE_FACTOR = 3.0  # standard errors that pass as noise
LEAST = {"cores": 0.02}  # means below it are not compared
BUSY_LOAD = 0.5  # load average for each core, above which a machine was not quiet


class Second(msgspec.Struct, frozen=True):
    """One look at the run, `at_s` after its beginning. `due`, `sent` and `acked`: observations per
    second; latencies in seconds, from the time the schedule wanted an observation sent to its ack;
    `cpu`: cores in use, `rss`: bytes, both by kind of process; `age_p99_s`: of what the dashboards
    were shown; `events`: delivered to them per second; `gaps`: silent ones they saw so far.
    `credits`: observations the devices may send now; `waiting`: due and not sent; `oldest_s`: how
    long the oldest one without an ack has been due; `queue_age_s`: how long the oldest message that
    a hub holds for a slow dashboard has waited."""

    at_s: float
    due: float = 0.0
    acked: float = 0.0
    p50_s: float = 0.0
    p99_s: float = 0.0
    age_p99_s: float = 0.0
    live: int = 0
    cpu: dict[str, float] = {}
    rss: dict[str, int] = {}
    sent: float = 0.0
    events: float = 0.0
    gaps: int = 0
    credits: int = 0
    waiting: int = 0
    oldest_s: float = 0.0
    queue_age_s: float = 0.0


class Happened(msgspec.Struct, frozen=True):
    """Something that was done in the run."""

    at_s: float
    what: str


Look = Callable[
    [Second, Sequence[Happened]], None
]  # called every second of a run, with all that was done so far


class RunResult(msgspec.Struct, frozen=True):
    """A run. `latency`: buckets of `load_tests.harness.histogram`, of all observations; `notes`:
    what a reader must know besides; `versions`: of what Eyrie runs on; `growth`: of everything that
    was watched for it; `faults`: how long each took to be noticed and to heal."""

    scenario: Scenario
    seed: int
    version: str
    machine: MachineInfo
    load_before: float
    sent: int
    acked: int
    resent: int
    operations: int
    latency: dict[int, int]
    seconds: list[Second]
    happened: list[Happened]
    verdict: list[InvariantVerdict]
    check_s: float
    notes: list[str] = []
    versions: dict[str, str] = {}
    growth: list[Slope] = []
    faults: list[FaultTimes] = []


class Ratio(msgspec.Struct, frozen=True):
    """`new` over `old` of a figure; `noise` is the share by which it may differ by chance; `worse`:
    beyond noise and bound."""

    name: str
    old: float
    new: float
    ratio: float
    noise: float
    worse: bool


def compare(old: RunResult, new: RunResult, bound: float) -> list[Ratio]:
    """Figures beside each other. A figure is worse when it moved in the bad direction by more than
    `bound` (a share) and its noise."""
    found = []
    for name, share in (("ack_p50_s", 0.50), ("ack_p99_s", 0.99)):
        before, after = (Histogram(run.latency).percentile(share) for run in (old, new))
        noise = _noise(_of(old, name), _of(new, name))
        found.append(_ratio(name, before, after, noise, bound, more_is_worse=True))
    parts = sorted({part for run in (old, new) for second in run.seconds for part in second.cpu})
    means = [
        ("acked", False),
        ("events", False),
        ("age_p99_s", True),
        ("cores", True),
        ("memory_mib", True),
    ]
    for name, more_is_worse in [*means, *((f"cores.{part}", True) for part in parts)]:
        olds, news = _of(old, name), _of(new, name)
        before, after = statistics.fmean(olds or [0.0]), statistics.fmean(news or [0.0])
        if max(before, after) < LEAST.get(name.split(".")[0], 0.0) or not max(before, after):
            continue  # too little of it to say anything
        found.append(
            _ratio(name, before, after, _noise(olds, news), bound, more_is_worse=more_is_worse)
        )
    return found


def differences(old: RunResult, new: RunResult) -> list[str]:
    """What makes two runs no fair pair, in words."""
    found = []
    ours, theirs = msgspec.to_builtins(new.scenario), msgspec.to_builtins(old.scenario)
    changed = [
        f"{name} {theirs[name]!r} → {ours[name]!r}" for name in ours if ours[name] != theirs[name]
    ]
    if changed:
        found.append(f"the scenarios differ: {', '.join(changed)}")
    if old.machine != new.machine:
        found.append(f"the machines differ: {described(old.machine)} → {described(new.machine)}")
    if max(old.load_before, new.load_before) > BUSY_LOAD * new.machine.cores:
        found.append(
            f"the machine was not quiet before a run (load {old.load_before:g} and "
            f"{new.load_before:g})"
        )
    return found


def _of(run: RunResult, name: str) -> list[float]:
    part = name.partition(".")[2]
    values = {
        "ack_p50_s": [second.p50_s for second in run.seconds],
        "ack_p99_s": [second.p99_s for second in run.seconds],
        "acked": [second.acked for second in run.seconds],
        "events": [second.events for second in run.seconds],
        "age_p99_s": [second.age_p99_s for second in run.seconds],
        "memory_mib": [sum(second.rss.values()) / 2**20 for second in run.seconds],
        "cores": [
            second.cpu.get(part, 0.0) if part else sum(second.cpu.values())
            for second in run.seconds
        ],
    }[name.partition(".")[0]]
    return values[1:-1] if len(values) > 3 else values  # the first and the last second are cut


def _noise(old: Sequence[float], new: Sequence[float]) -> float:
    """Standard errors of the seconds of both runs, as a share of their means."""
    total = 0.0
    for values in (old, new):
        if len(values) > 1 and (mean := statistics.fmean(values)):
            total += (statistics.stdev(values) / mean) ** 2 / len(values)
    return float(NOISE_FACTOR * total**0.5)


def _ratio(
    name: str, old: float, new: float, noise: float, bound: float, *, more_is_worse: bool
) -> Ratio:
    ratio = new / old if old else (1.0 if new == old else float("inf"))
    change = ratio - 1 if more_is_worse else 1 - ratio
    return Ratio(name, old, new, ratio, noise, change > bound + noise)
