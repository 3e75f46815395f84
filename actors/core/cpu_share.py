"""What a camera costs its process, measured where it is stepped: the share of a core that its steps
take, smoothed (pure)."""

import math

HALF_LIFE_S = 10.0  # seconds after which a burst counts half


class CpuShare:
    """Time spent on one camera as an exponentially weighted rate. Times are monotonic seconds."""

    __slots__ = ("_at", "_rate")

    def __init__(self) -> None:
        self._rate = 0.0
        self._at = 0.0

    def spent(self, seconds: float, now: float) -> None:
        """A step took so long, and ended `now`."""
        self._rate = self.share(now) + seconds * math.log(2.0) / HALF_LIFE_S
        self._at = now

    def share(self, now: float) -> float:
        """The share of a core that it takes: 1.0 is all of one."""
        return self._rate * 0.5 ** ((now - self._at) / HALF_LIFE_S) if self._rate else 0.0
