"""A log-linear histogram of latencies, as HdrHistogram has it: every value is kept to within 1.6 %,
from a microsecond to hours.

Of its own: what is needed fits into a dictionary that can be sent over a pipe and merged (pure).
"""

from collections import Counter
from collections.abc import Iterable, Mapping

SUB_BITS = 6  # 64 buckets per power of two
_SUB = 1 << SUB_BITS


def bucket_of(seconds: float) -> int:
    """The bucket of a value; what is below a microsecond counts as nought."""
    value = max(0, int(seconds * 1e6))
    shift = max(0, value.bit_length() - SUB_BITS - 1)
    return shift * _SUB + (value >> shift)


def value_of(bucket: int) -> float:
    """The middle of a bucket in seconds."""
    shift = max(0, bucket // _SUB - 1)
    return (((bucket - shift * _SUB) << shift) + ((1 << shift) - 1) / 2) / 1e6


class Histogram:
    """Counts per bucket."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.counts: Counter[int] = Counter(counts or {})

    def add(self, seconds: float, times: int = 1) -> None:
        """Note a value."""
        self.counts[bucket_of(seconds)] += times

    def merge(self, others: Iterable[Mapping[int, int]]) -> "Histogram":
        """Take the counts of others in; itself."""
        for other in others:
            self.counts.update(other)
        return self

    def total(self) -> int:
        """How many values."""
        return self.counts.total()

    def percentile(self, share: float) -> float:
        """The nearest-rank percentile in seconds (`share` 0..1); 0 where there is nothing."""
        rank, seen = max(1, round(share * self.total() + 0.5 - 1e-9)), 0
        last = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            last = bucket
            if seen >= rank:
                break
        return value_of(last) if self.counts else 0.0
