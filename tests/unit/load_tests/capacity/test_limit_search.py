"""The search for a limit, without any load: which load comes next, what counts, what the bottleneck
was."""

import pytest

from actors.core.errors import StartError
from load_tests.capacity.find_limit import concluded, made
from load_tests.capacity.limit_page import headline, page
from load_tests.capacity.limit_search import (
    FINE,
    LoadStep,
    bottleneck,
    next_load,
    objective,
    with_unsent,
)
from load_tests.drivers.bench_devices import Driven
from load_tests.harness.histogram import Histogram
from load_tests.harness.scenarios import READY_MADE

FIGURES = {
    "ack_p50_s": 0.1,
    "ack_p99_s": 0.2,
    "age_p99_s": 0.2,
    "gaps": 0.0,
    "lost": 0.0,
    "unsent_share": 0.0,
    "cores": 1.0,
    "busy_share": 0.5,
    "other_share": 0.0,
    "largest_process_cores": 0.4,
}


def step(offered: float, **figures: float) -> LoadStep:
    found = {**FIGURES, **figures}
    broken = ["ack_p99_s<1"] if found["ack_p99_s"] >= 1 else []
    return LoadStep(
        offered,
        offered,
        found,
        {"hub": 0.3, "camera": 0.7},
        {"camera 17": found["largest_process_cores"]},
        {"hub": 2**27},
        broken,
    )


def search(limit: float, first: float, most: float = 1e6) -> list[tuple[float, bool]]:
    tried: list[tuple[float, bool]] = []
    while (load := next_load(tried, first, most)) is not None:
        tried.append((load, load <= limit))
        assert len(tried) < 40
    return tried


@pytest.mark.parametrize("limit", [250.0, 1_000.0, 12_345.0, 90.0])
def test_the_limit_is_found_to_within_the_fineness(limit: float) -> None:
    tried = search(limit, 200.0)
    held = max(load for load, good in tried if good)
    broken = min(load for load, good in tried if not good)
    assert held <= limit < broken <= held * FINE * 1.0001
    assert len(tried) < 20


def test_a_search_ends_where_nothing_breaks_and_where_nothing_holds() -> None:
    assert search(1e9, 100.0, most=5_000.0)[-1] == (5_000.0, True)
    assert all(not good for _, good in search(0.0, 100.0))


def test_objectives_are_read_and_refused_with_a_reason() -> None:
    assert objective("ack_p99_s<1.0").holds({"ack_p99_s": 0.99})
    assert not objective(" gaps <= 0 ").holds({"gaps": 1.0})
    for wrong in ("ack_p99_s", "speed<1", "gaps<=many", "ack_p99_s<1.0.0"):
        with pytest.raises(StartError, match=r"write it as|is no number"):
            objective(wrong)


def test_what_was_due_and_held_back_counts_as_late() -> None:
    latency, unsent = with_unsent(
        Histogram({100: 60}), 10.0, [80], 10.0, 2.0
    )  # ten a second for ten seconds
    assert (unsent, latency.total()) == (19, 79)
    assert latency.percentile(1.0) == pytest.approx(10.0 - 8.1, rel=0.02)
    assert (
        with_unsent(Histogram(), 10.0, [0], 10.0, 2.0)[1] == 79
    )  # what was due in the warm-up is left out


def test_an_overload_that_acks_fast_what_it_admits_is_no_success() -> None:
    driven = Driven(8.0, 40, [], [0.0001] * 40, {"cam": 50}, {"cam": 50}, 0, 0.0)
    cores = {"hub 1": 0.5, "camera 2": 0.2, "camera 3": 0.4}
    found = made(10.0, 10.0, [objective("ack_p99_s<1.0")], 10.0, [driven], cores, 0.6, {}, None)
    assert found.broken == ["ack_p99_s<1"]
    assert found.figures["ack_p99_s"] > 4.0
    assert found.cpu == {"camera": 0.6, "hub": 0.5}
    assert found.acked == 5.0


def test_the_bottleneck_is_a_full_process_the_machine_or_a_queue() -> None:
    assert bottleneck(step(1, largest_process_cores=0.97), 2).startswith(
        "camera: one of its processes is at its core"
    )
    assert bottleneck(step(1, busy_share=0.99), 2).startswith("the machine")
    assert bottleneck(step(1, busy_share=0.99, other_share=0.4), 2).startswith(
        "other work on this machine"
    )
    assert bottleneck(step(1, unsent_share=0.3), 2).startswith("the edge queue grows")
    assert "it is waiting" in bottleneck(step(1), 2)


def test_the_conclusion_says_the_knee_and_its_page_needs_nothing_else() -> None:
    steps = [step(100.0), step(400.0, ack_p99_s=1.7, busy_share=0.97), step(200.0)]
    result = concluded(
        READY_MADE["steady"], 1, [objective("ack_p99_s<1.0")], steps, 10.0, "limit found", 60.0, 0.1
    )
    assert (result.limit_per_s, result.broken_per_s, result.broke) == (
        200.0,
        400.0,
        ["ack_p99_s<1"],
    )
    assert result.bottleneck.startswith("the machine")
    assert "200 observations a second hold" in headline(result)
    html = page(result)
    assert html.count("<svg viewBox='0 0 580") == 4
    for loaded in ("<script", "http://", "https://", "src="):
        assert loaded not in html
    assert "No load held" in headline(
        concluded(READY_MADE["steady"], 1, [], steps[1:2], 10.0, "limit found", 60.0, 0.1)
    )
