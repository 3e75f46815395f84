"""A circuit breaker as a value: no clock, no state of its own; it goes into the database and
outlives the process (M. Nygard, "Release It!", 2007).

*closed*: everybody may try. *open*: nobody, until `until_us`. *half open*: one may try, who holds
the trial until `until_us`; when it does not come back, the next one may.
"""

from typing import Literal

import msgspec

SECOND_US = 1_000_000
BreakerState = Literal["closed", "open", "half_open"]


class BreakerPolicy(msgspec.Struct, frozen=True):
    """Opens after `failures` in a row, for `open_s`, twice as long each time a trial fails, at most
    `longest_s`. A trial may take `trial_s`."""

    failures: int = 5
    open_s: float = 5.0
    longest_s: float = 300.0
    trial_s: float = 30.0


class Breaker(msgspec.Struct, frozen=True):
    """`failures` in a row while closed; `openings` in a row without a success between them."""

    state: BreakerState = "closed"
    failures: int = 0
    openings: int = 0
    until_us: int = 0


def admit(breaker: Breaker, policy: BreakerPolicy, now_us: int) -> Breaker | None:
    """The breaker after somebody was let through, or None: not now, ask again at `until_us`."""
    if breaker.state == "closed":
        return breaker
    if now_us < breaker.until_us:
        return None
    return msgspec.structs.replace(
        breaker, state="half_open", until_us=now_us + round(policy.trial_s * SECOND_US)
    )


def succeeded(breaker: Breaker) -> Breaker:
    """After one that was let through came back well. An open breaker stays so: what succeeds late
    was let through before it opened."""
    return breaker if breaker.state == "open" else Breaker()


def failed(breaker: Breaker, policy: BreakerPolicy, now_us: int) -> Breaker:
    """After one that was let through failed."""
    if breaker.state == "open":
        return breaker
    failures = breaker.failures + 1
    if breaker.state == "closed" and failures < policy.failures:
        return msgspec.structs.replace(breaker, failures=failures)
    openings = breaker.openings + 1
    open_s = min(policy.longest_s, policy.open_s * 2.0 ** min(openings - 1, 64))
    return Breaker("open", failures, openings, now_us + round(open_s * SECOND_US))
