"""From the picture to the ground: a homography out of a calibration, and the speed of what moves on
it. Plain Python on floats.

Speeds are of positions averaged over `WINDOW_US` each, so that a box which jitters by pixels does
not run.
"""

from collections.abc import Sequence
from math import hypot, sqrt

import msgspec

WINDOW_US = 500_000  # stream time over which positions are averaged
WORST_RESIDUAL = 0.1  # of the calibration's extent: beyond it the pairs do not belong together
_FLAT = 1e-7  # pivots and determinants below it: points on a line
_HORIZON = 1e-6

Pair = tuple[float, float]
Matrix = tuple[float, float, float, float, float, float, float, float, float]


class Pace(msgspec.Struct, array_like=True):
    """One track on the ground. The window under way: `since_us`, sums of anchors and of times after
    it, `frames`. The last finished one: its mean time `at_us` (0: none) and place in metres.
    `metres` over `over_us` so far, `speed` and `top` in m/s."""

    since_us: int = 0
    sum_x: float = 0.0
    sum_y: float = 0.0
    sum_us: int = 0
    frames: int = 0
    at_us: int = 0
    x: float = 0.0
    y: float = 0.0
    metres: float = 0.0
    over_us: int = 0
    speed: float | None = None
    top: float = 0.0


class GroundPlane:
    """Metres on the ground of a point in the picture. Raises ValueError for a calibration that says
    nothing or contradicts itself."""

    __slots__ = ("matrix",)

    def __init__(self, picture: Sequence[Pair], metres: Sequence[Pair]) -> None:
        if len(picture) != len(metres) or len(picture) < 4:
            raise ValueError(
                "a ground calibration needs at least 4 points, as many in metres as in the picture"
            )
        self.matrix = _homography(picture, metres)
        extent = max(hypot(x - metres[0][0], y - metres[0][1]) for x, y in metres)
        for (px, py), (mx, my) in zip(picture, metres, strict=True):
            found = self.locate(px, py)
            if (
                found is None or not hypot(found[0] - mx, found[1] - my) <= WORST_RESIDUAL * extent
            ):  # not a number fits nothing
                raise ValueError(
                    f"no plane maps the ground points on their metres: ({px}, {py}) does not "
                    "fit; are they in the same order?"
                )

    def locate(self, x: float, y: float) -> Pair | None:
        """Where this is on the ground, in metres; None at the horizon and above it."""
        a, b, c, d, e, f, g, h, i = self.matrix
        w = g * x + h * y + i
        if w < _HORIZON:
            return None
        return (a * x + b * y + c) / w, (d * x + e * y + f) / w

    def walk(self, pace: Pace, x: float, y: float, now_us: int) -> None:
        """One more frame of a track whose anchor is at (x, y)."""
        if not pace.frames:
            pace.since_us = now_us
        elif now_us - pace.since_us >= WINDOW_US:
            self.finish(pace)
            pace.since_us = now_us
        pace.sum_x += x
        pace.sum_y += y
        pace.sum_us += now_us - pace.since_us
        pace.frames += 1

    def finish(self, pace: Pace) -> None:
        """End the window under way: where it was on average, and how fast it came there from the
        one before."""
        frames = pace.frames
        if not frames:
            return
        here = self.locate(pace.sum_x / frames, pace.sum_y / frames)
        at_us = pace.since_us + round(pace.sum_us / frames)
        if here is None:
            pace.at_us, pace.speed = 0, None
        else:
            if pace.at_us and at_us > pace.at_us:
                way, took_us = hypot(here[0] - pace.x, here[1] - pace.y), at_us - pace.at_us
                pace.metres += way
                pace.over_us += took_us
                pace.speed = way * 1_000_000 / took_us
                pace.top = max(pace.top, pace.speed)
            pace.at_us, (pace.x, pace.y) = at_us, here
        pace.sum_x = pace.sum_y = 0.0
        pace.sum_us = pace.frames = 0

    def speeds(self, pace: Pace) -> tuple[float | None, float | None, float | None]:
        """Metres, and average and top speed in m/s, of a whole track; None where it was not on the
        ground long enough."""
        self.finish(pace)
        if not pace.over_us:
            return None, None, None
        return (
            round(pace.metres, 2),
            round(pace.metres * 1_000_000 / pace.over_us, 2),
            round(pace.top, 2),
        )


def _homography(picture: Sequence[Pair], metres: Sequence[Pair]) -> Matrix:
    """Least squares over all pairs (direct linear transformation on normalised points, the scale
    fixed at their centre)."""
    px, py, ps = _normal(picture)
    mx, my, ms = _normal(metres)
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(picture, metres, strict=True):
        x, y, u, v = (x - px) * ps, (y - py) * ps, (u - mx) * ms, (v - my) * ms
        rows.append([x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y, u])
        rows.append([0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y, v])
    normal = [[sum(row[i] * row[j] for row in rows) for j in range(9)] for i in range(8)]
    a, b, c, d, e, f, g, h = _solve(normal)
    if abs(a * (e - f * h) - b * (d - f * g) + c * (d * h - e * g)) < _FLAT:
        raise ValueError("the ground points lie on a line; take four corners of an area")
    # picture → normalised → normalised metres → metres
    inner = ((a, b, c), (d, e, f), (g, h, 1.0))
    lifted = [
        [row[0] * ps, row[1] * ps, row[2] - ps * (row[0] * px + row[1] * py)] for row in inner
    ]
    (a, b, c), (d, e, f), (g, h, i) = lifted
    return (
        a / ms + mx * g,
        b / ms + mx * h,
        c / ms + mx * i,
        d / ms + my * g,
        e / ms + my * h,
        f / ms + my * i,
        g,
        h,
        i,
    )


def _normal(points: Sequence[Pair]) -> tuple[float, float, float]:
    """Centre, and the scale that brings the mean distance from it to √2."""
    count = len(points)
    cx, cy = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    mean = sum(hypot(x - cx, y - cy) for x, y in points) / count
    if mean < _FLAT:
        raise ValueError("the ground points are all the same")
    return cx, cy, sqrt(2.0) / mean


def _solve(system: list[list[float]]) -> list[float]:
    """Gaussian elimination with partial pivoting of n rows of n + 1 numbers. Raises ValueError when
    it is singular."""
    size = len(system)
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(system[row][column]))
        if abs(system[pivot][column]) < _FLAT:
            raise ValueError("the ground points lie on a line; take four corners of an area")
        system[column], system[pivot] = system[pivot], system[column]
        for row in range(column + 1, size):
            factor = system[row][column] / system[column][column]
            for index in range(column, size + 1):
                system[row][index] -= factor * system[column][index]
    found = [0.0] * size
    for row in reversed(range(size)):
        rest = sum(system[row][index] * found[index] for index in range(row + 1, size))
        found[row] = (system[row][size] - rest) / system[row][row]
    return found
