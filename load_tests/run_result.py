"""What a run leaves behind, as the JSON beside its report; and two of them compared (pure)."""

import statistics
from collections.abc import Callable, Sequence

import msgspec

from load_tests.histogram import Histogram
from load_tests.machine import Machine
from load_tests.scenarios import Scenario
from load_tests.verdict import Line

NOISE_FACTOR = 3.0  # standard errors that pass as noise


class Second(msgspec.Struct, frozen=True):
    """One look at the run, `at_s` after its beginning. `due`, `sent` and `acked`: observations per second; latencies in seconds, from
    the time the schedule wanted an observation sent to its ack; `cpu`: cores in use, `rss`: bytes, both by kind of process; `age_p99_s`: of
    what the dashboards were shown; `events`: delivered to them per second; `gaps`: silent ones they saw so far. `credits`: observations the
    devices may send now; `waiting`: due and not sent; `oldest_s`: how long the oldest one without an ack has been due."""

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


class Happened(msgspec.Struct, frozen=True):
    """Something that was done in the run."""

    at_s: float
    what: str


Look = Callable[[Second, Sequence[Happened]], None]  # called every second of a run, with all that was done so far


class RunResult(msgspec.Struct, frozen=True):
    """A run. `latency`: buckets of `load_tests.histogram`, of all observations. `notes`: what a reader must know besides."""

    scenario: Scenario
    seed: int
    version: str
    machine: Machine
    load_before: float
    sent: int
    acked: int
    resent: int
    operations: int
    latency: dict[int, int]
    seconds: list[Second]
    happened: list[Happened]
    verdict: list[Line]
    check_s: float
    notes: list[str] = []


class Ratio(msgspec.Struct, frozen=True):
    """`new` over `old` of a figure; `noise` is the share by which it may differ by chance; `worse`: beyond noise and bound."""

    name: str
    old: float
    new: float
    ratio: float
    noise: float
    worse: bool


def compare(old: RunResult, new: RunResult, bound: float) -> list[Ratio]:
    """Figures beside each other. A figure is worse when it moved in the bad direction by more than `bound` (a share) and its noise."""
    found = []
    for name, share in (("ack_p50_s", 0.50), ("ack_p99_s", 0.99)):
        before, after = (Histogram(run.latency).percentile(share) for run in (old, new))
        noise = _noise(_of(old, name), _of(new, name))
        found.append(_ratio(name, before, after, noise, bound, more_is_worse=True))
    for name, more_is_worse in (("acked", False), ("cores", True)):
        olds, news = _of(old, name), _of(new, name)
        before, after = statistics.fmean(olds or [0.0]), statistics.fmean(news or [0.0])
        found.append(_ratio(name, before, after, _noise(olds, news), bound, more_is_worse=more_is_worse))
    return found


def _of(run: RunResult, name: str) -> list[float]:
    values = {
        "ack_p50_s": [second.p50_s for second in run.seconds],
        "ack_p99_s": [second.p99_s for second in run.seconds],
        "acked": [second.acked for second in run.seconds],
        "cores": [sum(second.cpu.values()) for second in run.seconds],
    }[name]
    return values[1:-1] if len(values) > 3 else values  # the first and the last second are cut


def _noise(old: Sequence[float], new: Sequence[float]) -> float:
    """Standard errors of the seconds of both runs, as a share of their means."""
    total = 0.0
    for values in (old, new):
        if len(values) > 1 and (mean := statistics.fmean(values)):
            total += (statistics.stdev(values) / mean) ** 2 / len(values)
    return float(NOISE_FACTOR * total**0.5)


def _ratio(name: str, old: float, new: float, noise: float, bound: float, *, more_is_worse: bool) -> Ratio:
    ratio = new / old if old else (1.0 if new == old else float("inf"))
    change = ratio - 1 if more_is_worse else 1 - ratio
    return Ratio(name, old, new, ratio, noise, change > bound + noise)
