"""What objects are called: labels that settle later, ids that something else takes over."""

import random

import msgspec

from actors.core.camera import snapshot
from actors.core.scene.scene import Line, Scene, Zone
from tests.support.load.cores import Shell, frame, person

SCENE = Scene(
    zones={
        "z": Zone([(0.3, 0.3), (0.7, 0.3), (0.7, 0.95), (0.3, 0.95)]),
        "cars": Zone([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)], labels=["car"]),
    },
    lines={"l": Line([(0.5, 0.0), (0.5, 1.0)])},
)


def seen(sightings: list[tuple[str, float]], scene: Scene = SCENE) -> Shell:
    """The camera that saw one id as these labels at these x, ten frames a second."""
    shell = Shell(scene, mailbox_items=10_000)
    shell.hello()
    shell.walk(
        [
            frame(i / 10, person("1", x, 0.8, label=label, size=0.06))
            for i, (label, x) in enumerate(sightings)
        ],
        batch=20,
    )
    return shell


def label_of(shell: Shell) -> str:
    (track,) = shell.core.picture.tracks.values()
    return track.label


def test_a_label_that_settles_later_is_corrected_and_told() -> None:
    shell = seen([("truck" if i < 3 else "car", 0.2 + 0.01 * i) for i in range(60)])
    assert label_of(shell) == "car"
    (updated,) = shell.of("track.updated")
    assert (updated.event.label, updated.event.data["previous_label"], updated.event.track) == (
        "car",
        "truck",
        "1",
    )
    assert updated.event.seq <= 12
    assert [stored.event.label for stored in shell.of("line.crossed")] == ["car"]
    assert len(shell.of("track.started")) == 1


def test_occupancy_goes_over_to_the_right_label_and_zones_look_at_it() -> None:
    shell = seen([("truck" if i < 8 else "car", 0.5) for i in range(60)])
    assert shell.core.picture.occupancy == {"z": {"car": 1}, "cars": {"car": 1}}
    shell = seen([("car" if i < 8 else "truck", 0.5) for i in range(60)])
    assert shell.core.picture.occupancy == {"z": {"truck": 1}, "cars": {}}
    (left,) = shell.of("zone.exited")
    assert (left.event.zone, left.event.label, left.event.data["reason"]) == (
        "cars",
        "car",
        "label_changed",
    )


def test_a_label_that_wavers_does_not_flap() -> None:
    """Nine of ten sightings say car, the first three truck: one correction, whatever the order of
    the others."""
    for seed in range(20):
        dice = random.Random(seed)
        shell = seen(
            [("truck" if i < 3 or dice.random() < 0.1 else "car", 0.3) for i in range(300)]
        )
        assert label_of(shell) == "car", f"seed {seed}"
        assert len(shell.of("track.updated")) == 1, f"seed {seed}"


def test_an_object_that_was_called_wrong_for_long_is_corrected_within_seconds() -> None:
    shell = seen([("truck" if i < 500 else "car", 0.3) for i in range(540)])
    assert label_of(shell) == "car"


def test_an_id_that_another_class_takes_over_is_a_new_track() -> None:
    shell = seen([("person", 0.1)] * 20 + [("car", 0.9)] * 20)
    assert label_of(shell) == "car"
    assert [
        (stored.event.type, stored.event.label)
        for stored in shell.row.events
        if stored.event.type.startswith("track.")
    ] == [
        ("track.started", "person"),
        ("track.ended", "person"),
        ("track.started", "car"),
    ]
    assert shell.of("track.ended")[0].event.data["end_reason"] == "replaced"
    assert shell.of("line.crossed") == []


def test_votes_outlive_a_restart_and_older_snapshots_load_without_them() -> None:
    half = [("truck" if i < 5 else "car", 0.3) for i in range(9)]
    rest = [frame(0.9 + i / 10, person("1", 0.3, 0.8, label="car", size=0.06)) for i in range(60)]
    straight = seen(half)
    straight.walk(rest, first_seq=10)
    told = {False: straight.of("track.updated")[0].event.seq}
    for old in (False, True):
        shell = seen(half)
        assert shell.row.snapshot is not None
        if old:
            found = msgspec.msgpack.decode(shell.row.snapshot)
            at = snapshot.TrackRow.__struct_fields__.index("votes")
            found["tracks"] = [row[:at] for row in found["tracks"]]
            found.pop("stepped_ahead_seq", None)
            shell.row.snapshot = msgspec.msgpack.encode(found)
        shell.restart()
        shell.hello()
        shell.walk(rest, first_seq=10)
        assert label_of(shell) == "car"
        assert old or shell.of("track.updated")[0].event.seq == told[False]
