"""When a failed job is tried again: exponential back-off with full jitter, by kind. Pure.

Full jitter draws each delay from the whole range, so that ten thousand jobs that failed together do
not come back together (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

import msgspec


class RetryPolicy(msgspec.Struct, frozen=True):
    """`attempts` in all, the first one included. Before attempt n + 1 lie at most
    ``base_s * 2 ** (n - 1)`` seconds, never more than `longest_s`."""

    attempts: int = 8
    base_s: float = 1.0
    longest_s: float = 600.0

    def bound_s(self, attempt: int) -> float:
        """The longest delay after attempt `attempt` (1, 2, …) has failed."""
        if attempt < 1:
            raise ValueError(f"attempts are counted from 1, not {attempt}")
        # beyond this exponent the bound has long been reached, whatever the base
        return min(self.longest_s, self.base_s * 2.0 ** min(attempt - 1, 64))

    def delay_s(self, attempt: int, chance: float) -> float:
        """The delay after attempt `attempt` has failed; `chance` is drawn from 0..1."""
        return self.bound_s(attempt) * chance

    def over(self, attempt: int) -> bool:
        """Attempt `attempt` was the last one."""
        return attempt >= self.attempts
