"""The step benchmark runs and says what it promises."""

import pytest

from load_tests.benches import step


def test_the_bench_reports_every_case_and_the_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "FRAMES", 40)
    monkeypatch.setattr(step, "REPEATS", 1)
    found = step.run(1)
    assert len(found.figures) == len(step.CASES) + 1, "and with alert rules"
    assert found.floor["decode_us"]
    assert found.ratios["step_vs_decode"] > 1
    assert found.ratios["rules10_vs_none"] > 0.5
