"""What a camera costs."""

import pytest

from actors.core.cpu_share import HALF_LIFE_S, CpuShare


def test_steady_work_is_its_share_of_a_core() -> None:
    cost = CpuShare()
    for tick in range(2000):
        cost.spent(0.005, tick * 0.05)
    assert cost.share(100.0) == pytest.approx(0.1, rel=0.02)


def test_a_burst_is_forgotten() -> None:
    cost = CpuShare()
    assert cost.share(5.0) == 0.0
    cost.spent(1.0, 10.0)
    before = cost.share(10.0)
    assert cost.share(10.0 + HALF_LIFE_S) == pytest.approx(before / 2)
