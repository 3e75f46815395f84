"""Order for sources without numbers: per camera by capture time, released behind a watermark
(design section 8).

The watermark of a camera is its newest capture time less `lateness_s`. What comes earlier than
something already released is late: it cannot be put in order any more and is handed back, so that
it can be accounted for. NVIDIA's garage recording needs 1.0 s.

A watermark forgets: what comes away from the present run of capture times (before what was
released, or `AWAY_S` ahead of the newest) waits until it is known what it is. `RUN` different times
there in a row are a clock that was set, or a pause: what waits is released and a new run begins. A
lone stamp more than `AWAY_S` off is a wrong clock, not lateness: its item is released in the place
where it came.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Generic, TypeVar

T = TypeVar("T")

WATERMARK_S = 1.2  # seconds of capture time
MAX_WAITING = 4096  # items of one camera; the oldest is released early beyond it
# seconds of capture time (twice the lateness, if that is more) beyond which nothing is late: the
# clock was another
AWAY_S = 10.0
RUN = 3  # different times away from the run that make a new one
PAUSE_US = (
    86_400_000_000  # a run that begins up to a day later is a pause, not a clock that was set
)


@dataclass(slots=True)
class Sorted(Generic[T]):
    """What one push brought: items in order, items that are too late, and the steps of the clock
    (from, to; microseconds)."""

    ready: list[T] = field(default_factory=list)
    late: list[T] = field(default_factory=list)
    steps: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True)
class Sorter(Generic[T]):
    """Puts items of one camera in order. Items of the same capture time keep the order in which
    they came."""

    lateness_s: float = WATERMARK_S
    _waiting: list[tuple[int, int, T]] = field(default_factory=list)
    _count: int = 0
    _newest_us: int | None = None
    _released_us: int | None = None
    _away: list[tuple[int, T]] = field(
        default_factory=list
    )  # neighbours in time, away from the run

    def resume(self, newest_us: int, released_us: int) -> None:
        """Go on after a restart: what had come, and what was released, before anything is pushed.
        0: nothing."""
        self._newest_us = newest_us or None
        self._released_us = released_us or None

    def push(self, time_us: int, item: T) -> Sorted[T]:
        """The items that are in order now, oldest first, and those that came too late."""
        out: Sorted[T] = Sorted()
        newest = self._newest_us
        released = self._released_us
        if newest is None or (
            (released is None or time_us >= released) and time_us <= newest + self._away_us
        ):
            self._strays(out)
            self._add(time_us, time_us, item)
        else:
            if self._away and abs(time_us - self._away[-1][0]) > abs(time_us - newest):
                self._strays(out)
            self._away.append((time_us, item))
            if len({moment for moment, _ in self._away}) >= RUN or len(self._away) > MAX_WAITING:
                self._begin_run(out)
        self._release_ready(out)
        return out

    def flush(self) -> Sorted[T]:
        """Everything that still waits: the source has ended."""
        out: Sorted[T] = Sorted()
        newest = self._newest_us
        if self._away and newest is not None and abs(self._away[0][0] - newest) > self._away_us:
            self._begin_run(out)
        self._strays(out)
        out.ready.extend(self._drain())
        return out

    @property
    def _away_us(self) -> int:
        return _us(max(AWAY_S, 2 * self.lateness_s))

    def _add(self, key_us: int, time_us: int, item: T) -> None:
        self._count += 1
        heappush(self._waiting, (key_us, self._count, item))
        self._newest_us = time_us if self._newest_us is None else max(self._newest_us, time_us)

    def _release_ready(self, out: Sorted[T]) -> None:
        if self._newest_us is None:
            return
        watermark = self._newest_us - _us(self.lateness_s)
        while self._waiting and (
            self._waiting[0][0] <= watermark or len(self._waiting) > MAX_WAITING
        ):
            out.ready.append(self._release())

    def _begin_run(self, out: Sorted[T]) -> None:
        """The clock was set, or the source paused: what is away is a run of its own."""
        newest, away = self._newest_us, self._away
        assert newest is not None
        out.ready.extend(self._drain())
        first = min(moment for moment, _ in away)
        if not newest <= first <= newest + PAUSE_US:
            out.steps.append((newest, first))
        self._newest_us = self._released_us = None
        self._away = []
        for moment, item in away:
            self._add(moment, moment, item)

    def _strays(self, out: Sorted[T]) -> None:
        """What was away stayed alone: too late, or stamped by a clock that was wrong for a
        moment."""
        newest, away = self._newest_us, self._away
        if not away or newest is None:
            return
        self._away = []
        for moment, item in away:
            if abs(moment - newest) <= self._away_us:
                out.late.append(item)
            else:
                self._add(newest, newest, item)
                out.steps += [(newest, moment), (moment, newest)]

    def _drain(self) -> Iterator[T]:
        while self._waiting:
            yield self._release()

    def _release(self) -> T:
        self._released_us, _, item = heappop(self._waiting)
        return item


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)
