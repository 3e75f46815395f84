"""What a scene's types cannot say: shapes that make no sense, and names that lead nowhere. Pure;
for the registry, off the hot path.

Simple polygons as in OGC Simple Feature Access 1.2.1, 6.1.11: no edge crosses or touches another
but its neighbour in their common point.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite

from actors.core.errors import BadInput
from actors.core.scene.alert_checks import alert_problem
from actors.core.scene.scene import Line, Scene, Zone

MIN_AREA = 1e-6  # of the picture: a thousandth of its width by a thousandth of its height
TINY = 1e-9  # cross products below it are no turn
MAX_TOLD = 5  # problems named in one refusal

Point = tuple[float, float]


def require_sound(scene: Scene) -> None:
    """Raises BadInput that names the first problems of :func:`problems`."""
    found = problems(scene)
    if found:
        more = f" (and {len(found) - MAX_TOLD} more)" if len(found) > MAX_TOLD else ""
        raise BadInput(
            "the scene makes no sense: " + "; ".join(found[:MAX_TOLD]) + more,
            hint="Draw these shapes again.",
        )


def problems(scene: Scene) -> list[str]:
    """What is wrong with a scene, for people; nothing when it can be used."""
    found = [
        f"zone {name}: {why}"
        for name, zone in scene.zones.items()
        if (why := _zone(zone)) is not None
    ]
    found += [
        f"line {name}: {why}"
        for name, line in scene.lines.items()
        if (why := _line(line)) is not None
    ]
    places = scene.zones.keys() | scene.lines.keys()
    for rule in scene.severities:
        kind, _, place = rule.partition("/")
        if not kind or ("/" in rule and place not in places):
            found.append(f"severity {rule[:80]!r} names no zone or line of this scene")
    found += [
        f"alert {name}: {why}"
        for name, rule in scene.alerts.items()
        if (
            why := alert_problem(
                rule, scene.zones.keys(), scene.lines.keys(), event_only=scene.event_only
            )
        )
        is not None
    ]
    numbers = [scene.lost_after_s, scene.stationary_after_s, scene.expected_fps or 0.0]
    numbers += [zone.loitering_s or 0.0 for zone in scene.zones.values()]
    if not all(map(isfinite, numbers)):
        found.append("a duration or rate is not a number")
    return found


def _zone(zone: Zone) -> str | None:
    points = zone.points
    if (why := _points(points)) is not None:
        return why
    if len(points) > 3 and points[0] == points[-1]:
        return "its first point is repeated at the end; a polygon closes by itself"
    edges = list(zip(points, [*points[1:], points[0]], strict=True))
    if (crossing := _crossing(edges, closed=True)) is not None:
        return (
            f"it crosses or touches itself: {_edge(edges, crossing[0])} and "
            f"{_edge(edges, crossing[1])}"
        )
    if _area(points) < MIN_AREA:
        return "it has no area"
    return None


def _line(line: Line) -> str | None:
    if (why := _points(line.points)) is not None:
        return why
    edges = list(pairwise(line.points))
    if (crossing := _crossing(edges, closed=False)) is not None:
        return (
            f"it crosses or touches itself: {_edge(edges, crossing[0])} and "
            f"{_edge(edges, crossing[1])}"
        )
    if line.name_in == line.name_out:
        return f"both directions are called {line.name_in!r}"
    return None


def _points(points: Sequence[Point]) -> str | None:
    if not all(isfinite(x) and isfinite(y) for x, y in points):
        return "a coordinate is not a number"
    for index, (one, two) in enumerate(pairwise(points), 1):
        if one == two:
            return f"points {index} and {index + 1} are the same"
    return None


def _area(points: Sequence[Point]) -> float:
    pairs = zip(points, [*points[1:], points[0]], strict=True)
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairs)) / 2


def _crossing(edges: Sequence[tuple[Point, Point]], *, closed: bool) -> tuple[int, int] | None:
    """The first two edges that meet where they should not. Neighbours may meet in their common
    point and must not fold back."""
    last = len(edges) - 1
    for i, (a, b) in enumerate(edges):
        for j in range(i + 1, len(edges)):
            c, d = edges[j]
            if j == i + 1:
                folds = _folds(a, b, d)
            elif closed and i == 0 and j == last:
                folds = _folds(c, d, b)
            else:
                folds = _meet(a, b, c, d)
            if folds:
                return i, j
    return None


def _folds(a: Point, corner: Point, c: Point) -> bool:
    """Whether ``corner -> c`` goes back over ``a -> corner``."""
    ahead = (corner[0] - a[0]) * (c[0] - corner[0]) + (corner[1] - a[1]) * (c[1] - corner[1])
    return abs(_turn(a, corner, c)) <= TINY and ahead < 0


def _meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    t1, t2, t3, t4 = _side(a, b, c), _side(a, b, d), _side(c, d, a), _side(c, d, b)
    if t1 != t2 and t3 != t4 and 0 not in (t1, t2, t3, t4):
        return True
    touching = ((t1, a, b, c), (t2, a, b, d), (t3, c, d, a), (t4, c, d, b))
    return any(side == 0 and _within(p, q, r) for side, p, q, r in touching)


def _turn(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _side(a: Point, b: Point, c: Point) -> int:
    turn = _turn(a, b, c)
    return 0 if abs(turn) <= TINY else 1 if turn > 0 else -1


def _within(a: Point, b: Point, c: Point) -> bool:
    """Whether `c`, which is on the line through `a` and `b`, is between them."""
    return min(a[0], b[0]) <= c[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= c[1] <= max(a[1], b[1])


def _edge(edges: Sequence[tuple[Point, Point]], index: int) -> str:
    (x1, y1), (x2, y2) = edges[index]
    return f"edge {index + 1} ({x1:g}, {y1:g})-({x2:g}, {y2:g})"
