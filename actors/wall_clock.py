"""The wall clock of an actor process, and how far it was stepped: what is shown and stored has its
time, timers must not follow it."""

import time
from collections.abc import Callable

STEP_US = (
    200_000  # a smaller difference to the monotonic clock is drift, which adds up until it is one
)


def wall_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def steady_us() -> int:
    """Microseconds of a clock that nobody sets."""
    return time.monotonic_ns() // 1000


class WallClock:
    """Compares the two with every look. A process that was stopped between its two readings is told
    a step, and its opposite next time."""

    def __init__(
        self, wall: Callable[[], int] = wall_us, steady: Callable[[], int] = steady_us
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._ahead = wall() - steady()

    def look(self) -> tuple[int, int]:
        """Now, and by how much the clock was stepped since the last look (negative: back); both in
        microseconds."""
        now = self._wall()
        stepped = now - self._steady() - self._ahead
        if abs(stepped) < STEP_US:
            return now, 0
        self._ahead += stepped
        return now, stepped
