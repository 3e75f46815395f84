"""Order by capture time behind a watermark."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge.sorting import MAX_WAITING, Sorter


def run(sorter: Sorter[int], times: list[int]) -> tuple[list[int], list[int]]:
    """(in order, late) by index of `times` (microseconds)."""
    out: list[int] = []
    late = []
    for index, moment in enumerate(times):
        ready = sorter.push(moment, index)
        if ready is None:
            late.append(index)
        else:
            out.extend(ready)
    return [*out, *sorter.flush()], late


@given(st.lists(st.integers(0, 5_000_000), max_size=60))
def test_what_comes_out_is_in_order_and_nothing_disappears(times: list[int]) -> None:
    out, late = run(Sorter(1.2), times)
    assert sorted(out + late) == list(range(len(times)))
    assert [times[index] for index in out] == sorted(times[index] for index in out)
    for one, other in pairwise(out):
        assert times[one] != times[other] or one < other


@given(st.lists(st.integers(0, 1_200_000), max_size=60))
def test_nothing_within_the_watermark_is_late(jitter: list[int]) -> None:
    times = [index * 100_000 + 1_200_000 - late for index, late in enumerate(jitter)]
    assert run(Sorter(1.2), times)[1] == []


def test_waiting_is_bounded() -> None:
    sorter: Sorter[int] = Sorter(3600.0)
    released = [sorter.push(index, index) for index in range(MAX_WAITING + 3)]
    assert released[-1] == [2]
