"""The hot path's geometry equals shapely's, away from the border by more than `BORDER`; the border
itself is inside."""

import itertools
import math

import shapely
from hypothesis import assume, given
from hypothesis import strategies as st

from actors.core.scene.geometry import Polygon, crossings, distance, edges_of

unit = st.floats(0.0, 1.0, allow_nan=False, width=32)
point = st.tuples(unit, unit)
NEAR = 1e-7  # picture widths: closer to the border the two may round differently


@st.composite
def rings(draw: st.DrawFn) -> list[tuple[float, float]]:
    """Simple polygons: points around a centre by angle, at any distance."""
    count = draw(st.integers(3, 12))
    radii = draw(st.lists(st.floats(0.05, 0.45), min_size=count, max_size=count))
    turn = draw(st.floats(0.0, 1.0))
    angles = [2 * math.pi * (index + turn) / count for index in range(count)]
    return [
        (0.5 + radius * math.cos(angle), 0.5 + radius * math.sin(angle))
        for radius, angle in zip(radii, angles, strict=True)
    ]


@given(rings(), point)
def test_inside_is_what_shapely_covers(
    ring: list[tuple[float, float]], at: tuple[float, float]
) -> None:
    theirs = shapely.Polygon(ring)
    assume(shapely.distance(theirs.exterior, shapely.Point(at)) > NEAR)
    assert Polygon(ring).contains(*at) == shapely.covers(theirs, shapely.Point(at))


@given(rings())
def test_corners_and_the_middles_of_sides_are_inside(ring: list[tuple[float, float]]) -> None:
    ours = Polygon(ring)
    for (x1, y1), (x2, y2) in zip(ring, [*ring[1:], ring[0]], strict=True):
        assert ours.contains(x1, y1)
        assert ours.contains((x1 + x2) / 2, (y1 + y2) / 2)


@given(rings(), point, st.tuples(st.floats(-0.999, 0.999), st.floats(-0.999, 0.999)))
def test_within_the_clearance_no_answer_changes(
    ring: list[tuple[float, float]], at: tuple[float, float], step: tuple[float, float]
) -> None:
    ours = Polygon(ring)
    inside, clearance = ours.locate(*at)
    assume(clearance > NEAR)
    assert ours.contains(at[0] + step[0] * clearance, at[1] + step[1] * clearance) == inside


@given(st.lists(point, min_size=2, max_size=8), point)
def test_distance_to_a_line_is_shapely_s(
    line: list[tuple[float, float]], at: tuple[float, float]
) -> None:
    theirs = shapely.distance(shapely.LineString(line), shapely.Point(at))
    assert math.isclose(distance(edges_of(line, closed=False), *at), theirs, abs_tol=1e-9)


@given(point, point, point, point)
def test_a_way_crosses_a_segment_where_shapely_says_so(
    a: tuple[float, float], b: tuple[float, float], p: tuple[float, float], q: tuple[float, float]
) -> None:
    line, way = shapely.LineString([a, b]), shapely.LineString([p, q])
    assume(line.length > 1e-3)
    assume(way.length > 1e-3)
    ends = [shapely.distance(line, shapely.Point(p)), shapely.distance(line, shapely.Point(q))]
    ends += [shapely.distance(way, shapely.Point(a)), shapely.distance(way, shapely.Point(b))]
    assume(min(ends) > NEAR)
    assert abs(crossings(edges_of([a, b], closed=False), *p, *q)) == int(shapely.crosses(way, line))


@given(rings(), st.lists(point, min_size=2, max_size=20))
def test_net_crossings_of_a_closed_line_say_whether_one_went_in(
    ring: list[tuple[float, float]], way: list[tuple[float, float]]
) -> None:
    """The net of all steps, however they jitter, is the difference of inside at both ends:
    crossings are never lost or doubled."""
    theirs = shapely.Polygon(ring)
    assume(
        all(shapely.distance(theirs.exterior, shapely.Point(at)) > NEAR for at in (way[0], way[-1]))
    )
    edges = edges_of([*ring, ring[0]], closed=False)
    net = sum(crossings(edges, *p, *q) for p, q in itertools.pairwise(way))
    ours = Polygon(ring)
    assert net == int(ours.contains(*way[-1])) - int(ours.contains(*way[0]))
