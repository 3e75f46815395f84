"""Order for sources without numbers: per camera by capture time, released behind a watermark (design section 8).

The watermark of a camera is its newest capture time less `lateness_s`. What comes earlier than something already released is late: it
cannot be put in order any more and is handed back, so that it can be accounted for. NVIDIA's garage recording needs 1.0 s.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Generic, TypeVar

T = TypeVar("T")

WATERMARK_S = 1.2  # seconds of capture time
MAX_WAITING = 4096  # items of one camera; the oldest is released early beyond it


@dataclass(slots=True)
class Sorter(Generic[T]):
    """Puts items of one camera in order. Items of the same capture time keep the order in which they came."""

    lateness_s: float = WATERMARK_S
    late: int = 0
    _waiting: list[tuple[int, int, T]] = field(default_factory=list)
    _count: int = 0
    _newest_us: int | None = None
    _released_us: int | None = None

    def push(self, time_us: int, item: T) -> list[T] | None:
        """The items that are in order now, oldest first; None when `item` came too late."""
        if self._released_us is not None and time_us < self._released_us:
            self.late += 1
            return None
        self._count += 1
        heappush(self._waiting, (time_us, self._count, item))
        self._newest_us = time_us if self._newest_us is None else max(self._newest_us, time_us)
        watermark = self._newest_us - round(self.lateness_s * 1_000_000)
        ready = []
        while self._waiting and (self._waiting[0][0] <= watermark or len(self._waiting) > MAX_WAITING):
            ready.append(self._release())
        return ready

    def flush(self) -> Iterator[T]:
        """Everything that still waits, in order: the source has ended."""
        while self._waiting:
            yield self._release()

    def _release(self) -> T:
        self._released_us, _, item = heappop(self._waiting)
        return item
