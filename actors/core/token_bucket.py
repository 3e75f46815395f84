"""The token bucket, pure: the same rule as `storage/lua/bucket.lua`, for limits that one process
keeps by itself."""


class Bucket:
    """`rate` tokens a second, at most `burst` at once. `now` is monotonic seconds; a clock that
    goes backwards gives nothing."""

    __slots__ = ("_at", "_tokens", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._at = now

    def draw(self, now: float, want: int = 1) -> int:
        """As many of `want` tokens as there are."""
        given = min(want, self.left(now))
        self._tokens -= given
        return given

    def left(self, now: float) -> int:
        """How many whole tokens there are."""
        self._tokens = min(self.burst, self._tokens + max(0.0, now - self._at) * self.rate)
        self._at = now
        return int(self._tokens)

    @property
    def wait_s(self) -> float:
        """Seconds from the last `take` until there is a token."""
        return max(0.0, 1.0 - self._tokens) / self.rate
