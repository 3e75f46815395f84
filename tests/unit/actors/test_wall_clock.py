"""A clock that is set is told once, by how much; drift adds up until it is a step."""

import pytest

from actors.wall_clock import WallClock

HOUR_US = 3_600_000_000


@pytest.mark.parametrize("step_us", [HOUR_US, -HOUR_US, 300_000])
def test_a_step_is_told_once(step_us: int) -> None:
    wall, steady = 1_000_000_000_000, 5_000_000
    clock = WallClock(lambda: wall, lambda: steady)
    wall, steady = wall + 1_000_000, steady + 1_000_000
    assert clock.look() == (wall, 0)
    wall, steady = wall + step_us + 10, steady + 10
    assert clock.look() == (wall, step_us)
    wall, steady = wall + 10, steady + 10
    assert clock.look() == (wall, 0)


def test_drift_is_told_when_it_is_worth_it() -> None:
    wall = steady = 0
    clock = WallClock(lambda: wall, lambda: steady)
    told = []
    for _second in range(1_000):
        wall, steady = wall + 1_000_500, steady + 1_000_000
        told.append(clock.look()[1])
    assert sum(told) in range(300_000, 500_001)
    assert sum(1 for step in told if step) == 2
