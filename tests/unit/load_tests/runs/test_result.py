"""Histograms, verdicts and comparisons of runs."""

import math
import random

import msgspec
import pytest

from load_tests.checker.verdict import INVARIANTS, RunObservations, green, judge
from load_tests.checker.violations import Violation
from load_tests.drivers.dashboard_plan import FleetReport
from load_tests.harness.environment import this_machine
from load_tests.harness.histogram import Histogram
from load_tests.harness.scenarios import READY_MADE
from load_tests.runs.page import page
from load_tests.runs.result import Happened, RunResult, Second, compare, differences

CLEAN = FleetReport(10, 0, [], 0, 0, 0, 500, [], {}, [])


def run(
    *,
    p50_s: float = 0.1,
    spread: float = 0.01,
    verdict_of: FleetReport = CLEAN,
    violations: tuple[Violation, ...] = (),
) -> RunResult:
    seconds = [
        Second(
            float(at),
            100.0,
            100.0,
            p50_s + (at % 2) * spread,
            2 * p50_s,
            0.2,
            10,
            {"hub": 0.2},
            {"hub": 2**27},
        )
        for at in range(1, 21)
    ]
    latency = Histogram()
    for _ in range(1000):
        latency.add(p50_s)
    return RunResult(
        READY_MADE["steady"],
        7,
        "1",
        this_machine(),
        0.1,
        1000,
        1000,
        0,
        2000,
        dict(latency.counts),
        seconds,
        [Happened(3.0, "<storm>")],
        judge(violations, RunObservations(verdict_of, 10, [])),
        0.1,
    )


def test_percentiles_are_those_of_the_values_within_two_percent() -> None:
    rng = random.Random(5)
    values = sorted(rng.lognormvariate(-3, 1.5) for _ in range(5000))
    found = Histogram()
    for value in values:
        found.add(value)
    for share in (0.5, 0.9, 0.99, 0.999):
        assert found.percentile(share) == pytest.approx(
            values[math.ceil(share * len(values)) - 1], rel=0.02
        )
    halves = [Histogram(), Histogram()]
    for index, value in enumerate(values):
        halves[index % 2].add(value)
    assert Histogram().merge(half.counts for half in halves).counts == found.counts


@pytest.mark.parametrize("field", ["twice", "gaps", "unrecovered"])
def test_what_a_dashboard_missed_is_red(field: str) -> None:
    lines = judge((), RunObservations(msgspec.structs.replace(CLEAN, **{field: 1}), 10, []))
    assert [line.invariant for line in lines if line.status == "red"] == ["I5"]


def test_a_run_is_green_only_when_nothing_is_red() -> None:
    assert green(judge((), RunObservations(CLEAN, 10, [])))
    assert not green(judge((), RunObservations(msgspec.structs.replace(CLEAN, live=9), 10, [])))
    assert not green(
        judge((), RunObservations(CLEAN, 10, ["1 bytes are still held for slow dashboards"]))
    )
    assert not green(
        judge((), RunObservations(CLEAN, 10, [], ["cut was planned 3 times and happened 0 times"]))
    )
    assert not green(
        judge(
            (), RunObservations(CLEAN, 10, [], [], ["files hub 1: +6 files an hour, 4 are allowed"])
        )
    )
    unseen = judge((), RunObservations(msgspec.structs.replace(CLEAN, live=0), 0))
    assert {line.invariant for line in unseen if line.status == "not checked"} == {
        "I5",
        "I6",
        "I10",
        "I11",
        "I13",
        "growth",
        "faults",
    }
    for invariant in INVARIANTS:
        lines = judge(
            (Violation(invariant, "cam-1", "broken"),),
            RunObservations(CLEAN, 10, [], []),
            lambda found: [found.detail],
        )
        red = [(line.invariant, line.first, line.excerpt) for line in lines if line.status == "red"]
        assert red == [(invariant, "cam-1: broken", ["broken"])]


def test_only_what_is_beyond_noise_and_bound_is_worse() -> None:
    assert not any(ratio.worse for ratio in compare(run(), run(), 0.2))
    assert [ratio.name for ratio in compare(run(), run(p50_s=0.2), 0.2) if ratio.worse] == [
        "ack_p50_s",
        "ack_p99_s",
    ]
    assert not any(ratio.worse for ratio in compare(run(p50_s=0.2), run(), 0.2))
    assert not any(
        ratio.worse
        for ratio in compare(run(spread=0.5), run(p50_s=0.12, spread=0.5), 0.0)
        if ratio.name == "ack_p50_s"
    )


def test_runs_that_are_no_fair_pair_are_told_so() -> None:
    assert differences(run(), run()) == []
    other = msgspec.structs.replace(
        run(),
        scenario=READY_MADE["burst"],
        machine=msgspec.structs.replace(this_machine(), cores=64),
        load_before=99.0,
    )
    assert [line.split(" ")[1] for line in differences(run(), other)] == [
        "scenarios",
        "machines",
        "machine",
    ]


def test_what_a_part_takes_more_of_is_worse() -> None:
    more = run()
    seconds = [
        msgspec.structs.replace(second, cpu={"hub": 0.4}, rss={"hub": 2**28})
        for second in more.seconds
    ]
    worse = [
        ratio.name
        for ratio in compare(run(), msgspec.structs.replace(more, seconds=seconds), 0.2)
        if ratio.worse
    ]
    assert worse == ["cores", "memory_mib", "cores.hub"]


def test_the_page_follows_light_and_dark_and_says_its_figures_in_words() -> None:
    html = page(run())
    assert "prefers-color-scheme:dark" in html
    assert html.count("role=img aria-label=") == html.count("<summary>Figures</summary>") == 10
    assert "scenario.cameras" in html
    assert "p99.9" in html


def test_the_page_holds_everything_itself_and_escapes_names() -> None:
    html = page(run())
    assert "<svg" in html
    assert "&lt;storm&gt;" in html
    assert "<storm>" not in html
    for loaded in ("<script", "http://", "https://", "src="):
        assert loaded not in html
