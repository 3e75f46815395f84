"""Plane geometry of the hot path, plain Python on floats: polygons and polylines in picture
coordinates (0..1, y downwards).

Proven equal to shapely by a property test (`tests/property/test_geometry.py`). Rules at the border:

* a point within `BORDER` of a polygon's border is inside (shapely's ``covers``);
* a path that touches a polyline belongs to its right side (``>= 0``), so a path that comes to rest
  on a line and goes on crosses it exactly once, and one that goes back does not cross it;
* a polygon that intersects itself is read even-odd.
"""

from collections.abc import Sequence
from math import sqrt

BORDER = 1e-9  # picture widths
_BORDER2 = BORDER * BORDER

Edge = tuple[float, float, float, float, float]  # x, y, dx, dy, 1 / length² (0 for a point)


def edges_of(points: Sequence[tuple[float, float]], *, closed: bool) -> tuple[Edge, ...]:
    """The edges between consecutive `points`, back to the first when `closed`."""
    following = [*points[1:], points[0]] if closed else points[1:]
    found = []
    for (x1, y1), (x2, y2) in zip(points, following, strict=False):
        dx, dy = x2 - x1, y2 - y1
        length2 = dx * dx + dy * dy
        found.append((x1, y1, dx, dy, 1.0 / length2 if length2 > 0.0 else 0.0))
    return tuple(found)


def distance(edges: tuple[Edge, ...], x: float, y: float) -> float:
    """Euclidean distance of a point to the nearest edge, in picture widths."""
    best = 1e9
    for ex, ey, dx, dy, inverse in edges:
        px, py = x - ex, y - ey
        along = (px * dx + py * dy) * inverse
        if along > 0.0:
            if along >= 1.0:
                px, py = px - dx, py - dy
            else:
                px, py = px - along * dx, py - along * dy
        here = px * px + py * py
        if here < best:
            best = here
    return sqrt(best)


class Polygon:
    """A polygon with its bounding box."""

    __slots__ = ("bottom", "edges", "left", "right", "top")

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        self.edges = edges_of(points, closed=True)
        self.left = min(x for x, _ in points)
        self.right = max(x for x, _ in points)
        self.top = min(y for _, y in points)
        self.bottom = max(y for _, y in points)

    def locate(self, x: float, y: float) -> tuple[bool, float]:
        """(inside, clearance): a point that moves by less than `clearance` along both axes stays on
        its side of the border."""
        outside = max(self.left - x, x - self.right, self.top - y, y - self.bottom)
        if outside > BORDER:
            return False, outside
        inside = False
        best = 1e9
        for ex, ey, dx, dy, inverse in self.edges:
            px, py = x - ex, y - ey
            if (py < 0.0) != (py < dy) and px < dx * py / dy:
                inside = not inside
            along = (px * dx + py * dy) * inverse
            if along > 0.0:
                if along >= 1.0:
                    px, py = px - dx, py - dy
                else:
                    px, py = px - along * dx, py - along * dy
            here = px * px + py * py
            if here < best:
                best = here
        return inside or best <= _BORDER2, sqrt(best * 0.5)

    def contains(self, x: float, y: float) -> bool:
        """True when the point is inside or on the border."""
        return self.locate(x, y)[0]


def crossings(edges: tuple[Edge, ...], px: float, py: float, qx: float, qy: float) -> int:
    """Signed crossings of the way from p to q: +1 for each from left to right (seen walking along
    the edges), -1 for each back."""
    net = 0
    wx, wy = qx - px, qy - py
    for ex, ey, dx, dy, _ in edges:
        after = dx * (qy - ey) - dy * (qx - ex) >= 0.0
        if (dx * (py - ey) - dy * (px - ex) >= 0.0) != after:
            ax, ay = ex - px, ey - py
            if (wx * ay - wy * ax >= 0.0) != (wx * (ay + dy) - wy * (ax + dx) >= 0.0):
                net += 1 if after else -1
    return net
