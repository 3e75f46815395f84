"""Order by capture time behind a watermark that forgets."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sorting import MAX_WAITING, Sorter

SECOND = 1_000_000


def run(
    sorter: Sorter[int], times: list[int]
) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """(in order, late, steps of the clock) by index of `times` (microseconds)."""
    out: list[int] = []
    late: list[int] = []
    steps: list[tuple[int, int]] = []
    for found in [
        *(sorter.push(moment, index) for index, moment in enumerate(times)),
        sorter.flush(),
    ]:
        out += found.ready
        late += found.late
        steps += found.steps
    return out, late, steps


@given(st.lists(st.integers(0, 60 * SECOND), max_size=60))
def test_nothing_disappears_and_it_is_in_order_but_for_the_steps_told(times: list[int]) -> None:
    out, late, steps = run(Sorter(1.2), times)
    assert sorted(out + late) == list(range(len(times)))
    turns = sum(times[one] > times[other] for one, other in pairwise(out))
    assert turns <= len(steps)
    for one, other in pairwise(out):
        assert times[one] != times[other] or one < other or steps


@given(st.lists(st.integers(0, 1_200_000), max_size=60))
def test_nothing_within_the_watermark_is_late(jitter: list[int]) -> None:
    times = [index * 100_000 + 1_200_000 - late for index, late in enumerate(jitter)]
    out, late, steps = run(Sorter(1.2), times)
    assert (late, steps) == ([], [])
    assert [times[index] for index in out] == sorted(times)


def test_waiting_is_bounded() -> None:
    sorter: Sorter[int] = Sorter(3600.0)
    released = [sorter.push(index, index).ready for index in range(MAX_WAITING + 3)]
    assert released[-1] == [2]


@pytest.mark.parametrize("step_s", [-3.0, -30.0, -3600.0, -7200.0, 11.0, 3600.0, 1e8, -1e8])
@pytest.mark.parametrize("interval_s", [0.04, 1.0, 15.0])
def test_a_clock_that_is_set_loses_nothing(step_s: float, interval_s: float) -> None:
    """A step back, a source that starts again, an hour of daylight saving, both ways."""
    interval, step = round(interval_s * SECOND), round(step_s * SECOND)
    times = [10**15 + index * interval + (step if index >= 40 else 0) for index in range(80)]
    out, late, steps = run(Sorter(1.2), times)
    assert late == []
    assert sorted(out) == list(range(80))
    if abs(step_s) >= 3600.0:
        assert out == list(range(80))
        assert len(steps) == (step < 0 or step > 86_400 * SECOND)


@pytest.mark.parametrize("off_s", [-1e9, -3600.0, -60.0, 60.0, 3600.0, 3e8])
def test_a_stamp_of_a_wrong_clock_stays_where_it_came_and_hides_nothing(off_s: float) -> None:
    """One stamp in 2036, or in 1970, between good ones that come up to a second out of order."""
    times = [10**15 + index * 100_000 - (700_000 if index % 7 == 3 else 0) for index in range(80)]
    times[40] += round(off_s * SECOND)
    out, late, steps = run(Sorter(1.2), times)
    assert late == []
    good = [index for index in out if index != 40]
    assert [times[index] for index in good] == sorted(
        times[index] for index in range(80) if index != 40
    )
    assert abs(out.index(40) - 40) <= 8
    assert [after - before > 0 for before, after in steps] == [off_s > 0, off_s < 0]


def test_a_straggler_is_late_and_no_step() -> None:
    times = [10**15 + index * 100_000 for index in range(80)]
    times[60] -= 5 * SECOND
    out, late, steps = run(Sorter(1.2), times)
    assert (late, steps, len(out)) == ([60], [], 79)
