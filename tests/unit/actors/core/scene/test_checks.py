"""What makes a scene unusable, and what does not; simple polygons are compared with shapely."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import Polygon

from actors.core.errors import BadInput
from actors.core.messages.registry import NewCamera, read_place, read_scene, scene_json
from actors.core.scene.checks import MIN_AREA, problems, require_sound
from actors.core.scene.scene import Line, Place, Scene, Zone

SQUARE = [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)]


def told(*points: tuple[float, float]) -> list[str]:
    return problems(Scene(zones={"z": Zone(list(points))}))


def test_a_sound_scene_has_no_problems() -> None:
    scene = Scene(
        zones={"z": Zone(SQUARE)},
        lines={"l": Line([(0.0, 0.5), (0.5, 0.4), (1.0, 0.5)])},
        severities={"zone.entered/z": "critical", "line.crossed": "notice"},
    )
    assert problems(scene) == []
    require_sound(scene)


@pytest.mark.parametrize(
    ("points", "word"),
    [
        ([(0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9)], "crosses or touches itself: edge 1"),
        ([(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.5, 0.1), (0.1, 0.9)], "crosses or touches itself"),
        ([(0.1, 0.1), (0.9, 0.1), (0.5, 0.1), (0.5, 0.9)], "crosses or touches itself"),
        ([(0.1, 0.1), (0.5, 0.1), (0.9, 0.1)], "crosses or touches itself"),
        ([(0.1, 0.1), (0.1, 0.1), (0.9, 0.9)], "points 1 and 2 are the same"),
        ([*SQUARE, SQUARE[0]], "repeated at the end"),
        ([(0.1, 0.1), (0.1005, 0.1), (0.1, 0.1005)], "no area"),
        ([(0.1, float("nan")), (0.9, 0.1), (0.9, 0.9)], "not a number"),
    ],
)
def test_a_zone_that_makes_no_sense(points: list[tuple[float, float]], word: str) -> None:
    (problem,) = told(*points)
    assert problem.startswith("zone z: ")
    assert word in problem


def test_a_line_that_makes_no_sense() -> None:
    loop = Line([(0.1, 0.1), (0.9, 0.1), (0.5, 0.5), (0.5, 0.0)])
    assert "crosses" in problems(Scene(lines={"l": loop}))[0]
    assert (
        "both directions"
        in problems(Scene(lines={"l": Line([(0, 0), (1, 1)], name_in="a", name_out="a")}))[0]
    )
    assert "same" in problems(Scene(lines={"l": Line([(0.5, 0.5), (0.5, 0.5)])}))[0]


def test_a_severity_names_a_place_of_the_scene() -> None:
    assert "'zone.entered/gone'" in problems(Scene(severities={"zone.entered/gone": "info"}))[0]


def test_the_refusal_is_bounded() -> None:
    bow = Zone([(0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9)])
    with pytest.raises(BadInput, match=r"zone z0: .*\(and 59 more\)"):
        require_sound(Scene(zones={f"z{n}": bow for n in range(64)}))


# Sixteenths are exact in binary: with others two that are right may round differently.
UNIT = st.integers(0, 16).map(lambda n: n / 16)


@given(st.lists(st.tuples(UNIT, UNIT), min_size=3, max_size=9))
def test_simple_is_what_shapely_calls_valid(points: list[tuple[float, float]]) -> None:
    distinct = all(a != b for a, b in pairwise([*points, points[0]]))
    shape = Polygon(points)
    expected = distinct and bool(shape.is_valid) and shape.area >= MIN_AREA
    assert (told(*points) == []) == expected


def test_tags_and_names_are_bounded_and_a_stored_scene_holds_its_defaults() -> None:
    for bad in (
        {"tags": ["Upper"]},
        {"tags": ["x\n"]},
        {"name": "a\x00"},
        {"name": "n" * 121},
        {"color": "red"},
    ):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"camera": "c", "site": "s", **bad}, NewCamera)
    stored = scene_json(Scene())
    assert b'"lost_after_s":5.0' in stored
    assert read_scene(stored) == read_scene(b"{}") == Scene()
    assert read_place(b"{}") is None
    assert read_place(b'{"lat":1.5}') == Place(lat=1.5)
