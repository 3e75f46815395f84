"""Whether what a long run watches stays flat: slopes of series against stated bounds (pure).

A slope is Theil and Sen's: the median of the slopes between all pairs of points, which neither a
burst nor a step of the allocator moves. It is taken over the later two thirds of a run; before that
caches fill.
"""

import statistics
from collections.abc import Mapping, Sequence
from itertools import combinations

import msgspec

WARM_SHARE = 1 / 3  # of the run, not looked at
LEAST_POINTS = 8  # of a series in what is looked at; a process that lived for less says nothing
MOST_POINTS = (
    180  # of a series that are compared with each other: means of neighbours where there are more
)
HOUR_S = 3600.0
MIB = 2**20


class Bound(msgspec.Struct, frozen=True):
    """What a series may grow by: `per_hour`, and `per_event` for each event stored meanwhile, or
    `spare` in all if that is more (in a run of minutes the allocator moves by more than its share
    of an hour). `most`: how high it may be at all, 0 for any height. `unit`: ``bytes`` or what is
    counted."""

    unit: str
    per_hour: float
    per_event: float = 0.0
    most: float = 0.0
    spare: float = 0.0


# A series is named `<what> <which>`; the longest first words that are here say its bound.
BOUNDS: Mapping[str, Bound] = {
    "memory": Bound("bytes", 12 * MIB, spare=4 * MIB),  # anonymous memory of one process
    "files": Bound("files", 4, spare=2),  # of one process
    # A backend opens a file for each table and index that it first touches, and keeps it.
    "files postgres": Bound("files", 4, spare=16),
    "threads": Bound("threads", 4, spare=2),  # of one process
    "processes": Bound("processes", 1, spare=0.5),
    "redis keys": Bound("keys", 4, spare=2),
    "redis bytes": Bound(
        "bytes", 4 * MIB, per_event=2048, spare=2 * MIB
    ),  # a camera's and a site's stream, until they are full
    "table": Bound("bytes", 4 * MIB, spare=MIB),  # one table with its indexes
    "table events": Bound(
        "bytes", 4 * MIB, per_event=2048, spare=2 * MIB
    ),  # the partitions of all days together
    "wal": Bound("bytes", 0, most=1.1 * 1024 * MIB),  # max_wal_size is 1 GiB: files are used again
}
EVENTS = "events stored"  # the series that counts them


class Sample(msgspec.Struct, frozen=True):
    """All series at one moment of the run."""

    at_s: float
    values: dict[str, float]


class Slope(msgspec.Struct, frozen=True):
    """A series from `first` to `last` within what is looked at, `per_hour` on the way, `allowed`
    for an hour, `highest` in it. `flat`: within its bound."""

    name: str
    unit: str
    first: float
    last: float
    highest: float
    per_hour: float
    allowed: float
    most: float
    points: int
    flat: bool


def slopes(samples: Sequence[Sample]) -> list[Slope]:
    """All series that have a bound and enough points, in the order of names."""
    if not samples:
        return []
    begin = samples[0].at_s + (samples[-1].at_s - samples[0].at_s) * WARM_SHARE
    looked = [sample for sample in samples if sample.at_s >= begin]
    series: dict[str, list[tuple[float, float]]] = {}
    for sample in looked:
        for name, value in sample.values.items():
            series.setdefault(name, []).append((sample.at_s, value))
    events_per_hour = max(0.0, slope_per_hour(series.get(EVENTS, [])))
    found = []
    for name, points in sorted(series.items()):
        bound = bound_of(name)
        if bound is None or len(points) < LEAST_POINTS:
            continue
        per_hour, highest = slope_per_hour(points), max(value for _, value in points)
        hours = (points[-1][0] - points[0][0]) / HOUR_S
        allowed = max(
            bound.per_hour + bound.per_event * events_per_hour,
            bound.spare / hours if hours else 0.0,
        )
        flat = highest <= bound.most if bound.most else per_hour <= allowed
        found.append(
            Slope(
                name,
                bound.unit,
                points[0][1],
                points[-1][1],
                highest,
                per_hour,
                allowed,
                bound.most,
                len(points),
                flat,
            )
        )
    return found


def grown(found: Sequence[Slope]) -> list[str]:
    """What is not flat, in words; that nothing was watched is no good word either."""
    if not found:
        return [
            f"no series has {LEAST_POINTS} points after the first third of the run: nothing can "
            "be said about growth"
        ]
    return [
        f"{one.name}: {one.highest:,.0f} {one.unit}, at most {one.most:,.0f} are allowed"
        if one.most
        else f"{one.name}: {one.per_hour:+,.0f} {one.unit} an hour, {one.allowed:,.0f} are allowed"
        for one in found
        if not one.flat
    ]


def slope_per_hour(points: Sequence[tuple[float, float]]) -> float:
    """The median slope of (seconds, value), by the hour; 0 for less than two moments."""
    found = [
        (b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(_thinned(points), 2) if b[0] > a[0]
    ]
    return statistics.median(found) * HOUR_S if found else 0.0


def bound_of(name: str) -> Bound | None:
    """The bound of a series: that of its longest beginning that has one."""
    words = name.split()
    return next(
        (BOUNDS[key] for n in range(len(words), 0, -1) if (key := " ".join(words[:n])) in BOUNDS),
        None,
    )


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Means of neighbours, so that at most `MOST_POINTS` are left."""
    size = -(-len(points) // MOST_POINTS) if points else 1
    groups = [points[at : at + size] for at in range(0, len(points), size)]
    return [
        (statistics.fmean(at for at, _ in group), statistics.fmean(value for _, value in group))
        for group in groups
    ]
