"""The policy benchmark, made small: its figures are there and make sense."""

from load_tests.benches.policies.policy import CLIENTS, PERMISSIONS, run
from load_tests.benches.policies.policy_walls import CAMERAS


def test_the_figures_make_sense() -> None:
    measured = run(1, embedded=50, cached=500, watchers=2, rounds=0)
    assert measured.figures["storm_clients"] == CLIENTS
    assert measured.figures["storm_evaluations"] in range(1, PERMISSIONS + 1)
    assert measured.floor["embedded_per_s"]
    assert measured.figures["cached_p99_s"]
    assert measured.ratios["cached_vs_embedded"] > 1
    assert measured.figures["wall_first_questions"] == CAMERAS + 1
    assert measured.figures["wall_storm_evaluations"] == 0
    assert measured.ratios["wall_subscribe_after_vs_before"] > 0
    assert measured.ratios["wall_tick_after_vs_before"] > 0
