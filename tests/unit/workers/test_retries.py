"""`workers.retries`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.retries import RetryPolicy


def test_the_bound_doubles_up_to_the_longest() -> None:
    policy = RetryPolicy(attempts=5, base_s=2.0, longest_s=10.0)
    assert [policy.bound_s(attempt) for attempt in (1, 2, 3, 4, 400)] == [2, 4, 8, 10, 10]


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_delay_lies_in_the_whole_range(attempt: int, chance: float) -> None:
    policy = RetryPolicy()
    assert 0 <= policy.delay_s(attempt, chance) <= policy.bound_s(attempt) <= policy.longest_s
    assert policy.delay_s(attempt, 0.0) == 0
    assert policy.delay_s(attempt, 1.0) == policy.bound_s(attempt)


def test_the_last_attempt_is_the_last() -> None:
    assert [RetryPolicy(attempts=3).over(attempt) for attempt in (1, 2, 3, 4)] == [
        False,
        False,
        True,
        True,
    ]
    with pytest.raises(ValueError, match="from 1"):
        RetryPolicy().bound_s(0)
