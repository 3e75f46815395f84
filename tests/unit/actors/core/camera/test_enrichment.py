"""Tracks, zones, lines, occupancy and counts, seen through the core's entrance."""

import itertools
import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from actors.core.camera import core
from actors.core.camera.tracks import MAX_TRACKS
from actors.core.messages.observations import Alarm, Observation
from actors.core.scene.scene import Line, Scene, Zone
from tests.support.load.cores import Shell, at, frame, person

DOOR = Zone([(0.4, 0.0), (0.6, 0.0), (0.6, 1.0), (0.4, 1.0)])
MIDDLE = Line([(0.5, 0.0), (0.5, 1.0)])  # walking down: left is the picture's right side
FPS = 10


def replayed(
    scene: Scene,
    positions: Sequence[float | None],
    *,
    fps: float = FPS,
    y: float = 0.5,
    **person_fields: Any,
) -> Shell:
    """One person at these x, None where the detector misses it."""
    shell = Shell(scene)
    shell.hello()
    shell.walk(
        [
            frame(i / fps, *([] if x is None else [person("a", x, y, **person_fields)]))
            for i, x in enumerate(positions)
        ],
        batch=7,
    )
    return shell


def across(start: float, end: float, frames: int) -> list[float | None]:
    return [start + (end - start) * i / (frames - 1) for i in range(frames)]


def test_a_track_starts_when_confirmed_and_ends_when_lost() -> None:
    shell = replayed(Scene(), [0.5, 0.5, None, 0.5, *[None] * 60])
    (started,) = shell.of("track.started")
    assert (started.event.seq, started.event.track) == (4, "a")
    (ended,) = shell.of("track.ended")
    assert ended.event.seq == 55
    assert ended.event.data["end_reason"] == "lost"
    assert ended.event.data["duration_s"] == pytest.approx(0.3)
    assert ended.event.data["hits"] == 3


def test_a_track_that_is_never_confirmed_leaves_nothing() -> None:
    shell = replayed(Scene(zones={"door": DOOR}), [0.5, 0.5, *[None] * 60])
    assert shell.kinds() == ["camera.online"]
    assert shell.core.picture.tracks == {}


def test_a_track_lost_at_the_edge_has_left_the_picture() -> None:
    shell = replayed(Scene(), [*across(0.5, 0.99, 20), *[None] * 60])
    assert shell.of("track.ended")[0].event.data["end_reason"] == "completed"


def test_an_id_that_comes_back_after_its_end_is_a_new_track() -> None:
    shell = replayed(Scene(), [*[0.5] * 5, *[None] * 60, *[0.5] * 5])
    assert shell.kinds() == ["camera.online", "track.started", "track.ended", "track.started"]


def test_the_same_id_twice_in_a_frame_counts_once() -> None:
    shell = Shell()
    shell.hello()
    shell.walk([frame(i / FPS, person("a", 0.5, 0.5), person("a", 0.9, 0.9)) for i in range(2)])
    assert "track.started" not in shell.kinds()


def test_open_tracks_are_bounded_and_confirmed_ones_are_kept() -> None:
    shell = Shell()
    shell.hello()
    steady = [person(f"k{i}", 0.5, 0.5) for i in range(400)]
    shell.walk([frame(i / FPS, *steady) for i in range(3)])
    for batch in range(4):
        shell.walk(
            [frame(1 + batch / FPS, *(person(f"n{batch}-{i}", 0.5, 0.5) for i in range(400)))],
            first_seq=4 + batch,
        )
    assert len(shell.core.picture.tracks) <= MAX_TRACKS
    assert sum(track.confirmed for track in shell.core.picture.tracks.values()) == 400


def test_a_zone_is_entered_and_left_after_consecutive_frames_and_time() -> None:
    shell = replayed(Scene(zones={"door": DOOR}), [0.2] * 3 + [0.5] * 5 + [0.2] * 8)
    (entered,) = shell.of("zone.entered")
    assert (entered.event.seq, entered.event.zone, entered.event.track) == (6, "door", "a")
    (left,) = shell.of("zone.exited")
    assert left.event.seq == 14  # first outside in frame 9, 500 ms later
    assert left.event.data == {"dwell_s": 0.5, "reason": "left"}
    assert shell.core.picture.occupancy == {"door": {}}


def test_frames_inside_do_not_add_up_over_interruptions() -> None:
    """Frigate's inertia is cumulative (video reference 2.1, finding 1); ours is not."""
    shell = replayed(Scene(zones={"door": DOOR}), [0.2] * 3 + [0.5, 0.5, 0.2] * 20)
    assert shell.of("zone.entered") == []
    shell = replayed(
        Scene(zones={"door": DOOR}), [0.5] * 5 + [0.2] * 3 + [0.5] + [0.2] * 3 + [0.5] * 3
    )
    assert shell.of("zone.exited") == []


def test_entry_takes_milliseconds_too_whatever_the_frame_rate() -> None:
    zone = Zone(DOOR.points, enter_frames=1, enter_ms=1000)
    for fps, seq in ((5, 6), (10, 11), (20, 21)):
        shell = replayed(Scene(zones={"door": zone}), [0.5] * 40, fps=fps)
        assert shell.of("zone.entered")[0].event.seq == seq


def test_an_object_that_is_lost_leaves_its_zones() -> None:
    shell = replayed(Scene(zones={"door": DOOR}), [0.5] * 11 + [None] * 60)
    (left,) = shell.of("zone.exited")
    assert left.event.data == {"dwell_s": 1.0, "reason": "lost"}
    assert shell.core.picture.occupancy == {"door": {}}


def test_zones_look_at_their_labels_and_anchor() -> None:
    low = [(0.0, 0.5), (1.0, 0.5), (1.0, 1.0), (0.0, 1.0)]
    zones = {
        "cars": Zone(low, labels=["car"]),
        "feet": Zone(low),
        "center": Zone(low, anchor="center"),
        "any": Zone(low, anchor="any_corner"),
        "all": Zone(low, anchor="all_corners"),
    }
    shell = replayed(Scene(zones=zones), [0.5] * 5, y=0.53)
    assert shell.core.picture.occupancy == {
        "cars": {},
        "feet": {"person": 1},
        "center": {},
        "any": {"person": 1},
        "all": {},
    }


def test_occupancy_is_by_zone_and_label() -> None:
    shell = Shell(Scene(zones={"door": DOOR}))
    shell.hello()
    crowd = [
        person("a", 0.5, 0.5),
        person("b", 0.45, 0.5),
        person("c", 0.55, 0.6, label="car"),
        person("d", 0.1, 0.5),
    ]
    shell.walk([frame(i / FPS, *crowd) for i in range(4)])
    assert shell.core.picture.occupancy == {"door": {"person": 2, "car": 1}}


def test_loitering_starts_after_real_seconds_and_ends_with_the_stay() -> None:
    zone = Zone(DOOR.points, loitering_s=2)
    shell = replayed(Scene(zones={"door": zone}), [0.5] * 31 + [0.2] * 10 + [0.5] * 31)
    assert [stored.event.seq for stored in shell.of("loitering.started")] == [21, 62]
    (ended,) = shell.of("loitering.ended")
    assert ended.event.data["dwell_s"] == pytest.approx(3.1)
    assert shell.core.picture.loitering == 1


def test_a_line_counts_each_direction() -> None:
    shell = replayed(Scene(lines={"gate": MIDDLE}), [*across(0.2, 0.8, 40), *across(0.8, 0.2, 40)])
    crossed = [stored.event for stored in shell.of("line.crossed")]
    assert [event.data["direction"] for event in crossed] == ["out", "in"]
    count = shell.core.picture.counts["gate"]
    assert (count.ins, count.outs) == (1, 1)


def test_directions_have_names() -> None:
    line = Line(MIDDLE.points, name_in="to the yard", name_out="to the street")
    shell = replayed(Scene(lines={"gate": line}), across(0.2, 0.8, 40))
    assert shell.of("line.crossed")[0].event.data["way"] == "to the street"


def test_walking_around_the_end_of_a_line_counts_nothing() -> None:
    short = Line([(0.5, 0.0), (0.5, 0.4)])
    assert (
        replayed(Scene(lines={"gate": short}), across(0.2, 0.8, 40), y=0.5).of("line.crossed") == []
    )


def test_a_polyline_counts_where_it_bends() -> None:
    bent = Line([(0.3, 0.2), (0.5, 0.5), (0.3, 0.8)])
    for y in (0.3, 0.5, 0.7):
        shell = replayed(Scene(lines={"gate": bent}), across(0.1, 0.9, 50), y=y)
        assert [stored.event.data["direction"] for stored in shell.of("line.crossed")] == ["out"]


def test_a_track_that_disappears_behind_something_on_the_line_still_counts() -> None:
    path = across(0.2, 0.8, 40)
    path[15:25] = [None] * 10
    assert len(replayed(Scene(lines={"gate": MIDDLE}), path).of("line.crossed")) == 1


@pytest.mark.parametrize("width", [640, 1920])
@pytest.mark.parametrize("spread", ["gauss", "uniform"])
def test_jitter_does_not_change_counts(width: int, spread: str) -> None:
    """120 pedestrians at 25 fps, most cross once, some turn back, some stand on the line; 3 px of
    jitter on every side of every box."""
    dice = random.Random(7)

    def jitter() -> float:
        return (dice.gauss(0, 3) if spread == "gauss" else dice.uniform(-3, 3)) / width

    shell = Shell(
        Scene(
            lines={"gate": MIDDLE},
            zones={"door": Zone([(0.45, 0), (0.55, 0), (0.55, 1), (0.45, 1)])},
        ),
        mailbox_items=100_000,
    )
    shell.hello()
    truth = naive = 0
    tracks: list[list[tuple[float, float]]] = []
    for index in range(120):
        speed = dice.uniform(0.8, 3.0) / 640 * (1 if index % 2 else -1)
        start = 0.5 - speed * 60
        if index % 10 == 0:
            path = [
                0.5 - speed * abs(60 - i) - speed * 12 for i in range(120)
            ]  # comes near and turns back
        elif index % 10 == 5:
            path = [0.5 + 0.2 / width] * 120  # stands on the line
        else:
            path = [start + speed * i for i in range(120)]
            truth += 1
        seen = [(x + jitter(), 0.5 + jitter()) for x in path]
        naive += sum((a[0] < 0.5) != (b[0] < 0.5) for a, b in itertools.pairwise(seen))
        tracks.append(seen)
    seq = 1
    for first in range(0, 120, 10):
        frames = []
        for i in range(120):
            objects = [person(f"t{first + k}", *tracks[first + k][i], size=0.06) for k in range(10)]
            frames.append(frame(seq * 0.04 + i * 0.04, *objects))
        shell.walk(frames, first_seq=seq, batch=60)
        seq += 120
    count = shell.core.picture.counts["gate"]
    assert naive > 2 * truth
    assert count.ins + count.outs == truth


def test_stationary_objects_are_told_apart_from_jitter_and_motion() -> None:
    dice = random.Random(3)
    still: list[float | None] = [0.5 + dice.uniform(-0.003, 0.003) for _ in range(150)]
    shell = replayed(Scene(), still)
    (track,) = shell.core.picture.tracks.values()
    assert track.stationary
    shell.walk(
        [frame(15 + i / FPS, person("a", 0.5 + 0.01 * i, 0.5)) for i in range(20)], first_seq=151
    )
    assert not track.stationary
    assert track.stationary_us > 10_000_000


def test_objects_without_ids_are_counted_by_label_and_make_no_tracks() -> None:
    shell = Shell(Scene(zones={"door": DOOR}))
    shell.hello()
    shell.walk(
        [
            frame(
                i / FPS,
                person(None, 0.5, 0.5),
                person(None, 0.4, 0.5),
                person(None, 0.5, 0.5, label="car"),
            )
            for i in range(5)
        ]
    )
    assert shell.kinds() == ["camera.online"]
    shown = core.live_state(shell.core, 1, 0)
    assert shown is not None
    assert b'"objects":{"person":2,"car":1}' in shown[0]
    assert b'"id":"~0"' in shown[0]


def test_boxes_beyond_the_picture_are_shown_clipped_and_those_outside_left_out() -> None:
    shell = Shell()
    shell.hello()
    shell.walk(
        [
            frame(i / FPS, person("a", 0.0, 0.5), person("b", -0.03, 0.5, size=0.02))
            for i in range(3)
        ]
    )
    assert [stored.event.track for stored in shell.of("track.started")] == ["a"]
    (started,) = shell.of("track.started")
    assert started.event.data["box"][0] == 0.0
    assert shell.core.picture.tracks["a"].box[0] == -0.02  # whose middle the rules test
    assert shell.core.picture.faults == {"clipped": 3, "box_outside": 3}


def test_lateness_stands_still_and_a_stepped_clock_goes_on() -> None:
    shell = Shell(Scene(zones={"door": DOOR}))
    shell.hello()
    times = [0.0, 0.1, 0.05, 0.2, 0.3, -3600.0, -3599.9, -3599.8]
    shell.walk([frame(t, person("a", 0.5, 0.5)) for t in times])
    (stepped,) = shell.of("camera.clock_stepped")
    assert stepped.event.data == {"back_s": 3600.3}
    assert (
        shell.core.picture.tracks["a"].seen_us - shell.core.picture.tracks["a"].start_us == 500_000
    )
    assert len(shell.of("zone.entered")) == 1


def test_a_stamp_of_another_year_is_told_and_ends_no_track() -> None:
    """One stamp of 2036, or a clock that comes up in 1970: nothing is lost, durations go on, both
    steps are told."""
    years = 10 * 365 * 86_400.0
    for wrong in (years, -years):
        shell = Shell(Scene(zones={"door": DOOR}))
        shell.hello()
        times = [*(i / 10 for i in range(20)), wrong, *(2 + i / 10 for i in range(20))]
        shell.walk([frame(t, person("a", 0.5, 0.5)) for t in times])
        ahead, back = (
            (round(years - 1.9, 3), years - 2.0)
            if wrong > 0
            else (years + 2.0, round(years + 1.9, 3))
        )
        found = [stored.event.data for stored in shell.of("camera.clock_stepped")]
        assert sorted(found, key=lambda data: data["back_s"]) == [
            {"back_s": 0.0, "ahead_s": ahead},
            {"back_s": back},
        ]
        assert shell.kinds().count("track.ended") == 0
        assert len(shell.of("zone.entered")) == 1
        track = shell.core.picture.tracks["a"]
        assert track.hits == 41
        assert track.seen_us - track.start_us < 4_000_000
        assert shell.core.offset_estimate.quality() != "unusable"


def test_an_alarm_alone_is_an_event_and_no_frame() -> None:
    shell = Shell()
    shell.hello()
    alarm = Alarm("tamper", "critical", text="covered", data={"gain": 3})
    shell.send(1, msgspec.msgpack.encode(Observation(at(0), alarm=alarm)))
    (event,) = shell.of("alarm.tamper")
    assert (event.event.severity, event.event.data) == (
        "critical",
        {"text": "covered", "data": {"gain": 3}},
    )
    assert shell.core.clock.now_us == 0
