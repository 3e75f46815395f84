"""Retries wait longer and longer, up to a bound, and at random below it."""

from actors.core.backoff import Backoff, bound_s


def test_the_bound_doubles_up_to_the_cap_however_often_it_fails() -> None:
    assert [bound_s(attempts, 0.5, 3.0) for attempts in (0, 1, 2, 3, 10_000)] == [
        0.5,
        1.0,
        2.0,
        3.0,
        3.0,
    ]


def test_a_wait_is_a_share_of_the_bound_and_begins_anew_after_a_success() -> None:
    backoff = Backoff(1.0, 8.0)
    assert [backoff.wait_s(chance) for chance in (1.0, 0.5, 0.25, 1.0, 1.0)] == [1, 1, 1, 8, 8]
    backoff.reset()
    assert backoff.wait_s(1.0) == 1.0
