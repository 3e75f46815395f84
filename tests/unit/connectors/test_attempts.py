"""`connectors.sinks.attempts`: what becomes of one attempt."""

import email.utils

import pytest

from connectors.sinks.attempts import BOUNDS_S, GIVE_UP_S, AttemptVerdict, asked_s, verdict
from connectors.sinks.http_client import HttpAnswer

NOW_S = 1_790_000_000.0


def of(status: int, *, failures: int = 0, failing_s: float = 0.0) -> AttemptVerdict:
    answer = HttpAnswer(status, "because")
    return verdict(answer, failures=failures, failing_s=failing_s, chance=1.0, now_s=NOW_S)


def test_only_2xx_is_delivered_and_gone_ends_the_sink() -> None:
    assert {of(status).outcome for status in (200, 202, 204, 299)} == {"delivered"}
    assert {of(status).outcome for status in (0, 301, 307, 408, 425, 429, 500, 503)} == {"retry"}
    assert of(410).outcome == "disabled"


def test_what_is_refused_three_times_parks_and_what_may_get_better_does_not() -> None:
    assert [of(422, failures=n).outcome for n in range(3)] == ["retry", "retry", "parked"]
    assert {of(status, failures=500).outcome for status in (0, 302, 429, 500)} == {"retry"}
    assert of(500, failing_s=GIVE_UP_S).outcome == "parked"


def test_bounds_grow_over_the_schedule_and_the_whole_of_it_is_three_days() -> None:
    assert [of(500, failures=n).after_s for n in range(12)] == [*BOUNDS_S, *BOUNDS_S[-1:] * 3]
    assert sum(BOUNDS_S) == pytest.approx(3 * 86_400, rel=0.06)
    drawn = verdict(HttpAnswer(500, ""), failures=3, failing_s=0, chance=0.25, now_s=NOW_S)
    assert drawn.after_s == BOUNDS_S[3] / 4


def test_retry_after_is_obeyed_up_to_an_hour() -> None:
    assert asked_s("120", NOW_S) == 120
    assert asked_s("86400", NOW_S) == 3_600
    assert asked_s(email.utils.formatdate(NOW_S + 90, usegmt=True), NOW_S) == 90
    assert asked_s(email.utils.formatdate(NOW_S - 90, usegmt=True), NOW_S) == 0
    assert {asked_s(text, NOW_S) for text in ("", "soon", "-5", "٣", "1" * 400 + "x")} == {0}
    answer = HttpAnswer(503, "", "600")
    assert verdict(answer, failures=0, failing_s=0, chance=0.0, now_s=NOW_S).after_s == 600


def test_a_refusal_says_nothing_about_the_receivers_health() -> None:
    assert of(422).healthy
    assert not of(429).healthy
    assert not of(500).healthy
    assert not of(0).healthy
