"""The result of a bench: one JSON object, the same shape for all of them."""

import statistics
from collections.abc import Sequence

import msgspec

from load_tests.harness.environment import MachineInfo


class Measured(msgspec.Struct, frozen=True):
    """What a bench module returns: figures of the product, the floor of the same run, and ratios
    between the two."""

    figures: dict[str, object]
    floor: dict[str, object]
    ratios: dict[str, float]


class BenchResult(msgspec.Struct, frozen=True):
    """What `--json` prints."""

    bench: str
    seed: int
    machine: MachineInfo
    figures: dict[str, object]
    floor: dict[str, object]
    ratios: dict[str, float]


class Spread(msgspec.Struct, frozen=True):
    """Median of alternating runs, with the least and the greatest."""

    median: float
    least: float
    greatest: float
    runs: int


def spread(values: Sequence[float]) -> Spread:
    """The spread of at least one value."""
    return Spread(statistics.median(values), min(values), max(values), len(values))


def percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of sorted `ordered` (`share` 0..1); 0 where there is nothing."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]
