"""The ground calibration against cases known by other means, and speeds out of the core."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.camera import core
from actors.core.messages.deliveries import Attach
from actors.core.messages.observations import Backlog
from actors.core.scene.ground import GroundPlane
from actors.core.scene.scene import Ground, Line, Place, Scene
from tests.support.load.cores import CAMERA, Shell, at_us, frame, person

CORNERS = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
FLAT = Ground(
    CORNERS, [(0.0, 0.0), (20.0, 0.0), (20.0, 10.0), (0.0, 10.0)]
)  # 20 m x 10 m, seen from straight above


def lens(x: float, y: float) -> tuple[float, float]:
    """A plane seen at a slant, written by hand: metres of a picture point."""
    w = 0.2 + 1.6 * y
    return (8.0 * x - 4.0 + y) / w, (12.0 * (1.0 - y)) / w + 3.0


def test_a_plane_seen_from_above_is_a_scale() -> None:
    plane = GroundPlane(FLAT.picture, FLAT.metres)
    assert plane.locate(0.25, 0.5) == pytest.approx((5.0, 5.0), abs=1e-9)


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_slanted_plane_is_found_again_from_four_and_from_nine_points(x: float, y: float) -> None:
    four = [(0.1, 0.2), (0.9, 0.25), (0.8, 0.95), (0.15, 0.9)]
    nine = [(a, b) for a in (0.1, 0.5, 0.9) for b in (0.2, 0.5, 0.9)]
    for points in (four, nine):
        plane = GroundPlane(points, [lens(*point) for point in points])
        assert plane.locate(x, y) == pytest.approx(lens(x, y), abs=1e-6)


def test_the_unit_square_on_a_trapezium_by_its_diagonals() -> None:
    """A projective map keeps the crossing of the diagonals: known without any matrix."""
    trapezium = [(0.0, 0.0), (4.0, 0.0), (3.0, 2.0), (1.0, 2.0)]
    plane = GroundPlane(CORNERS, trapezium)
    # the diagonals of the trapezium meet at (2, 4/3)
    assert plane.locate(0.5, 0.5) == pytest.approx((2.0, 4.0 / 3.0), abs=1e-9)


def test_above_the_horizon_there_is_no_ground() -> None:
    points = [(0.1, 0.5), (0.9, 0.5), (0.9, 0.9), (0.1, 0.9)]
    metres = [
        ((x - 0.5) / (y - 0.3), 1.0 / (y - 0.3)) for x, y in points
    ]  # the horizon is at y = 0.3
    plane = GroundPlane(points, metres)
    assert plane.locate(0.5, 0.4) == pytest.approx((0.0, 10.0), abs=1e-6)
    assert plane.locate(0.5, 0.29) is None


@pytest.mark.parametrize(
    ("picture", "metres"),
    [
        ([(0, 0), (0.1, 0.1), (0.2, 0.2), (0.3, 0.3)], [(0, 0), (1, 0), (1, 1), (0, 1)]),
        ([(0, 0), (1, 0), (1, 1), (0, 1)], [(0, 0), (1, 1), (2, 2), (3, 3)]),
        ([(0, 0), (1, 0), (1, 1), (0, 1)], [(0, 0), (1, 1), (1, 0), (0, 1)]),
        ([(0.5, 0.5)] * 4, [(0, 0), (1, 0), (1, 1), (0, 1)]),
        ([(0, 0), (1, 0), (1, 1), (0, 1)], [(0, 0), (1, 0), (1, 1)] + [(0, 1)] * 2),
        (
            [(0, 0), (1, 0), (1, 1), (0, 1), (0.5, 0.5)],
            [(0, 0), (10, 0), (10, 10), (0, 10), (9, 1)],
        ),
    ],
)
def test_a_calibration_that_says_nothing_is_refused_with_the_scene(
    picture: list[list[float]], metres: list[list[float]]
) -> None:
    with pytest.raises(msgspec.ValidationError, match="ground"):
        msgspec.convert({"ground": {"picture": picture, "metres": metres}}, Scene)


def walked(
    scene: Scene, metres_per_s: float, seconds: float, *, fps: float = 10.0, restart_every: int = 0
) -> Shell:
    """One person walks along x at this speed on `FLAT`, then goes away."""
    shell = Shell(scene)
    shell.hello()
    frames = int(seconds * fps)
    for index in range(frames + 1):
        shell.step(
            shell.data(
                index + 1,
                frame(index / fps, person("a", 0.1 + metres_per_s / 20.0 * index / fps, 0.5)),
            )
        )
        if restart_every and index % restart_every == 0:
            shell.restart()
            shell.hello()
    shell.step(shell.data(frames + 2, frame(seconds + 10.0)))
    return shell


@pytest.mark.parametrize("fps", [5.0, 10.0, 25.0])
def test_a_walk_of_known_speed(fps: float) -> None:
    ended = walked(Scene(ground=FLAT), 1.5, 8.0, fps=fps).of("track.ended")[0].event.data
    assert ended["average_speed_mps"] == pytest.approx(1.5, abs=0.01)
    assert ended["top_speed_mps"] == pytest.approx(1.5, abs=0.01)
    assert ended["distance_m"] == pytest.approx(12.0, abs=1.0)


def test_speed_goes_on_over_a_restart() -> None:
    calm, harsh = (
        walked(Scene(ground=FLAT), 1.5, 8.0),
        walked(Scene(ground=FLAT), 1.5, 8.0, restart_every=7),
    )
    assert calm.of("track.ended")[0].event.data == harsh.of("track.ended")[0].event.data


def test_without_a_calibration_there_is_no_speed() -> None:
    assert "average_speed_mps" not in walked(Scene(), 1.5, 4.0).of("track.ended")[0].event.data


def test_a_new_calibration_measures_anew() -> None:
    shell = Shell(Scene(ground=FLAT))
    shell.hello()
    shell.walk([frame(i / 10, person("a", 0.1 + i / 200, 0.5)) for i in range(20)])
    twice = Ground(CORNERS, [(2 * x, 2 * y) for x, y in FLAT.metres])
    shell.step(core.Configure(Scene(ground=twice), 2))
    assert shell.of("camera.scene_changed")[0].event.data == {"version": 2, "changed": ["ground"]}
    shell.walk(
        [frame(i / 10, person("a", 0.1 + i / 200, 0.5)) for i in range(20, 40)], first_seq=21
    )
    (shown,) = state_of(shell)["tracks"]
    assert shown["speed_mps"] == pytest.approx(2.0, abs=0.01)


def state_of(shell: Shell, now: float | None = None) -> dict[str, Any]:
    rendered = core.live_state(shell.core, 1, at_us(shell.now if now is None else now))
    assert rendered is not None
    return dict(msgspec.json.decode(rendered[0]))


def test_the_place_is_in_the_state_and_not_in_the_summary() -> None:
    shell = Shell(
        Scene(place=Place(name="north gate", lat=52.5, lon=13.4, floor="1", purpose="deliveries"))
    )
    shell.hello()
    shell.send(1, frame(0))
    rendered = core.live_state(shell.core, 1, at_us(0))
    assert rendered is not None
    assert msgspec.json.decode(rendered[0])["place"]["name"] == "north gate"
    assert b"place" not in rendered[1]


def test_standing_and_moving_on_are_events() -> None:
    shell = Shell(Scene(stationary_after_s=2))
    shell.hello()
    xs = [0.5] * 40 + [0.5 + 0.02 * i for i in range(10)]
    shell.walk([frame(i / 10, person("a", x, 0.5)) for i, x in enumerate(xs)])
    (stopped,), (moved,) = shell.of("track.stopped"), shell.of("track.moved")
    assert (stopped.event.seq, stopped.event.data["since"]) == (21, "2026-03-01T12:00:00.000000Z")
    assert moved.event.data["stationary_s"] == pytest.approx(4.1, abs=0.2)


def test_health_tells_frame_rate_and_spool() -> None:
    shell = Shell(Scene(expected_fps=20))
    shell.hello()
    shell.walk([frame(i / 10) for i in range(30)])
    data = shell.data(31, frame(3.0))
    shell.step(msgspec.structs.replace(data, sent_us=at_us(1.0), backlog=Backlog(7, 900)))
    health = state_of(shell)["health"]
    assert (health["fps_quality"], health["expected_fps"]) == ("poor", 20.0)
    assert health["spool"] == {"items": 7, "bytes": 900}
    assert health["sent"] == "2026-03-01T12:00:01.000000Z"


COUNTED = Scene(
    lines={name: Line([(x, 0.0), (x, 1.0)]) for name, x in (("one", 0.4), ("two", 0.6))}
)


def crossing(shell: Shell, first_seq: int, key: str) -> int:
    frames = [frame((first_seq + i) / 10, person(key, 0.2 + 0.02 * i, 0.5)) for i in range(31)]
    shell.walk(frames, first_seq=first_seq)
    return first_seq + 31


def test_a_reset_is_an_event_and_counting_goes_on_from_zero() -> None:
    shell = Shell(COUNTED)
    shell.hello()
    following = crossing(shell, 1, "a")
    shell.step(core.ResetCounts(["one", "no-such-line"], "midnight"))
    (reset,) = shell.of("camera.counts_reset")
    since = "2026-03-01T12:00:00.100000Z"
    assert reset.event.data == {
        "lines": {"one": {"in": 0, "out": 1, "since": since}},
        "reason": "midnight",
    }
    crossing(shell, following, "b")
    counts = state_of(shell)["counts"]
    assert counts["one"] == {"in": 0, "out": 1, "since": "2026-03-01T12:00:03.100000Z"}
    assert counts["two"] == {"in": 0, "out": 2, "since": since}
    shell.restart()
    assert state_of(shell)["counts"] == counts


def test_a_reset_that_names_no_line_says_nothing() -> None:
    shell = Shell(COUNTED)
    shell.hello()
    shell.step(core.ResetCounts(["no-such-line"]))
    assert shell.of("camera.counts_reset") == []


def test_a_reset_while_a_session_is_opened_comes_after_it() -> None:
    shell = Shell(COUNTED)
    shell.hello()
    crossing(shell, 1, "a")
    waiting = core.step(
        shell.core,
        [hello("s2"), core.ResetCounts(["one"]), core.ResetCounts(["two"], "why")],
        at_us(9),
    )
    assert waiting.opens == "s2"
    outcome = shell.row.open_session(shell.core.generation, "s2")
    core.session_opened(shell.core, "s2", outcome, at_us(9))
    shell.commit()
    (reset,) = shell.of("camera.counts_reset")
    assert sorted(reset.event.data["lines"]) == ["one", "two"]
    assert reset.event.data["reason"] == "why"


def hello(session: str) -> Attach:
    return Attach(CAMERA, "h/2", session, 1, at_us(9))
