"""The fan-out bench measures what it says, small and fast here."""

import pytest

from load_tests.benches.fanout import fanout


@pytest.mark.prove
def test_every_server_delivers_everything_and_the_ratios_are_there() -> None:
    measured = fanout.run(1, clients=20, rounds=1)
    assert set(measured.ratios) >= {
        "camera_vs_raw",
        "camera_vs_naive",
        "wall_vs_naive",
        "idle_vs_bare",
    }
    assert all(ratio > 0 for ratio in measured.ratios.values())
    for name in ("camera", "coalesced", "wall"):
        outcome = measured.figures[name]
        assert isinstance(outcome, dict)
        assert 0 < outcome["p50_s"] <= outcome["p99_s"]
