"""What becomes of one attempt at a receiver (pure).

Any 2xx is delivered, a redirect is a failure, 410 ends the sink (Standard Webhooks 1.0.0). Retries
draw from the whole range up to a bound that grows over the schedule of that specification.
"""

import email.utils
from typing import Literal

import msgspec

from connectors.sinks.http_client import HttpAnswer

BOUNDS_S = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
GIVE_UP_S = 3 * 86_400.0  # after the first failure in a row
LONGEST_AFTER_S = 3_600.0  # of a Retry-After
TRIES = 3  # of what the receiver calls a mistake of ours
AGAIN = frozenset({408, 425, 429})


class AttemptVerdict(msgspec.Struct, frozen=True):
    """`healthy`: the receiver works, whatever it says of this event (for its breaker)."""

    outcome: Literal["delivered", "retry", "parked", "disabled"]
    after_s: float = 0.0
    reason: str = ""
    healthy: bool = True


def verdict(
    answer: HttpAnswer, *, failures: int, failing_s: float, chance: float, now_s: float
) -> AttemptVerdict:
    """`failures` were there before, in a row, the first one `failing_s` ago; `chance` is drawn from
    0..1; `now_s`: seconds since 1970, for a Retry-After that is a date."""
    status = answer.status
    if 200 <= status < 300:
        return AttemptVerdict("delivered")
    if status == 410:
        return AttemptVerdict("disabled", reason="the receiver answered 410 Gone")
    reason = f"HTTP {status}" if status else answer.detail
    refused = (400 <= status < 500 and status not in AGAIN) or answer.refused
    healthy = 300 <= status < 500 and status != 429
    if refused and failures + 1 >= TRIES:
        return AttemptVerdict(
            "parked", reason=f"refused {failures + 1} times: {reason}", healthy=healthy
        )
    if failing_s >= GIVE_UP_S:
        return AttemptVerdict(
            "parked", reason=f"given up after three days: {reason}", healthy=healthy
        )
    bound = BOUNDS_S[min(failures, len(BOUNDS_S) - 1)]
    after = max(bound * chance, asked_s(answer.retry_after, now_s))
    return AttemptVerdict("retry", after, reason, healthy)


def asked_s(text: str, now_s: float) -> float:
    """The seconds that a Retry-After asks for, an hour at most; 0 for what is none."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_AFTER_S)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return 0.0
    return min(max(moment.timestamp() - now_s, 0.0), LONGEST_AFTER_S)
