"""How long a camera that fails is left alone: longer and longer, up to a bound, then quarantine."""

from itertools import pairwise

import pytest

from cluster.planning.reconcile import (
    BACKOFF_FIRST_S,
    BACKOFF_MAX_S,
    FORGIVE_S,
    MAX_FAILURES,
    QUARANTINE_S,
    Trouble,
    failed,
)

NOW = 1_000.0


def pauses(count: int, *, jitter: float = 1.0) -> list[float]:
    """For how long it is held after each of `count` failures in a row."""
    trouble, found = Trouble(), []
    for _ in range(count):
        failed(trouble, "it broke", hosted_s=0.0, now=NOW, jitter=jitter)
        found.append(trouble.held_until - NOW)
    return found


def test_the_first_failure_is_answered_at_once_and_every_further_one_waits_twice_as_long() -> None:
    first, *later = pauses(MAX_FAILURES - 1)
    assert first == 0.0
    assert later[0] == BACKOFF_FIRST_S
    assert all(after == min(2 * before, BACKOFF_MAX_S) for before, after in pairwise(later))
    assert later[-1] > later[0]


def test_chance_spreads_a_pause_over_its_second_half() -> None:
    assert pauses(4, jitter=0.0) == [pause / 2 for pause in pauses(4, jitter=1.0)]


def test_the_last_failure_allowed_is_answered_by_quarantine_and_not_the_one_before() -> None:
    trouble = Trouble()
    for _ in range(MAX_FAILURES - 1):
        failed(trouble, "it broke", hosted_s=0.0, now=NOW, jitter=0.5)
    assert not trouble.quarantined
    failed(trouble, "it broke", hosted_s=0.0, now=NOW, jitter=0.5)
    assert trouble.quarantined
    assert trouble.held_until == NOW + QUARANTINE_S


@pytest.mark.parametrize(("hosted_s", "failures"), [(FORGIVE_S, 1), (FORGIVE_S - 0.1, 5)])
def test_who_was_well_for_long_enough_is_forgiven(hosted_s: float, failures: int) -> None:
    trouble = Trouble(4)
    failed(trouble, "it broke", hosted_s=hosted_s, now=NOW, jitter=0.5)
    assert trouble.failures == failures
