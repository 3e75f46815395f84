"""How long a message takes, stage by stage: capture → received at the edge socket → this hub → the
transports (pure).

Capture times are the devices', corrected by their estimated clock offset; all other moments are of
Eyrie's machines. Times are read from the ready JSON without decoding it, of a sample only.
"""

from bisect import bisect_left
from datetime import datetime

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SAMPLE_S = 0.05  # between two messages looked into, per lane

_TIME = b'"time":"'
_RECEIVED = b'"received":"'


class LatencyHistogram:
    """Counts by bucket of :data:`BUCKETS_S`, the last for everything beyond; seconds."""

    __slots__ = ("counts", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.total_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one. A negative duration (two clocks) counts as none."""
        seconds = max(0.0, seconds)
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.total_s += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative, as Prometheus has them."""
        found: list[tuple[str, float]] = []
        total = 0
        for bound, count in zip([*map(str, BUCKETS_S), "+Inf"], self.counts, strict=True):
            total += count
            found.append((bound, float(total)))
        return found


class Latencies:
    """Histograms by (lane, stage)."""

    def __init__(self) -> None:
        self.stages: dict[tuple[str, str], LatencyHistogram] = {}
        self._next: dict[str, float] = {}

    def sample(self, lane: str, body: bytes, wall_s: float) -> None:
        """A message of `lane` has reached this hub at `wall_s` (seconds since 1970)."""
        if wall_s < self._next.get(lane, 0.0) <= wall_s + SAMPLE_S:
            return
        self._next[lane] = wall_s + SAMPLE_S
        captured, received = moment(body, _TIME), moment(body, _RECEIVED)
        if captured is not None:
            self._observe(lane, "capture_to_hub", wall_s - captured)
            if received is not None:
                self._observe(lane, "capture_to_received", received - captured)
        if received is not None:
            self._observe(lane, "received_to_hub", wall_s - received)

    def _observe(self, lane: str, stage: str, seconds: float) -> None:
        histogram = self.stages.get((lane, stage))
        if histogram is None:
            histogram = self.stages[lane, stage] = LatencyHistogram()
        histogram.observe(seconds)


def moment(body: bytes, mark: bytes) -> float | None:
    """The first time after `mark`, seconds since 1970; None where there is none."""
    at = body.find(mark)
    if at < 0:
        return None
    start = at + len(mark)
    try:
        return datetime.fromisoformat(body[start : body.index(b'"', start)].decode()).timestamp()
    except ValueError:  # no end, not UTF-8, no time
        return None
