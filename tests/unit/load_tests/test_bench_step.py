"""The step benchmark runs and says what it promises."""

import pytest

from load_tests import bench_step


def test_the_bench_reports_every_case_and_the_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_step, "FRAMES", 40)
    monkeypatch.setattr(bench_step, "REPEATS", 1)
    found = bench_step.run(1)
    assert len(found.figures) == len(bench_step.CASES)
    assert found.floor["decode_us"]
    assert found.ratios["step_vs_decode"] > 1
