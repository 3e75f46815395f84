"""The simulated site: deterministic, plausible, and counted by the camera core exactly as its truth
says."""

from collections import Counter
from itertools import pairwise

import msgspec
import pytest

from actors.core.camera.journal import Journal
from actors.core.camera.tracks import Picture
from actors.core.messages.observations import Observation
from actors.core.scene.compiled import SceneRules
from actors.core.scene.scene import Scene
from actors.core.times import from_us
from edge.simulate import site
from edge.simulate.layouts import LAYOUTS
from edge.simulate.world import Frame, SimulatedCamera

START_US = 1_767_225_600_000_000


def frames(camera: SimulatedCamera, count: int) -> list[Frame]:
    return [camera.step() for _ in range(count)]


def run_out(camera: SimulatedCamera, seconds: float, fps: float) -> list[Frame]:
    """`seconds` of arrivals, then until the world is empty."""
    made = frames(camera, int(seconds * fps))
    camera.stop_arrivals()
    while not camera.empty:
        made.append(camera.step())
    return made


def counted(
    scene: Scene, made: list[Frame]
) -> tuple[Picture, Counter[tuple[str, str | None, str | None, str]]]:
    """What the core makes of the frames: the picture at the end, and its events by (type, place,
    track, way)."""
    picture, journal = Picture(SceneRules(scene)), Journal("cam", "site", "e", 0, b"")
    found: Counter[tuple[str, str | None, str | None, str]] = Counter()
    for seq, frame in enumerate(made, 1):
        now_us = START_US + round(frame.second * 1_000_000)
        journal.moment("s", seq, time_us=now_us, stream_us=now_us, received_us=now_us)
        picture.frame(frame.objects, journal)
        for event, _, _ in journal.waiting:
            found[
                event.type, event.zone or event.line, event.track, event.data.get("direction", "")
            ] += 1
        journal.waiting.clear()
    return picture, found


def test_the_same_seed_and_index_give_the_same_frames() -> None:
    first, again, other, neighbour = (
        [msgspec.json.encode(frame.objects) for frame in frames(SimulatedCamera(seed, index), 300)]
        for seed, index in ((7, 1), (7, 1), (8, 1), (7, 4))
    )
    assert first == again
    assert first != other
    assert first != neighbour


@pytest.mark.parametrize("index", range(6))
def test_every_frame_is_a_valid_observation(index: int) -> None:
    camera = SimulatedCamera(3, index)
    seen = frames(camera, 1200)
    for frame in seen:
        msgspec.msgpack.decode(
            msgspec.msgpack.encode(Observation(from_us(START_US), frame.objects, frame.alarm)),
            type=Observation,
        )
    busy = sum(1 for frame in seen if frame.objects)
    assert busy > 600
    assert max(len(frame.objects) for frame in seen) >= 3
    assert any(event for event in camera.truth.lines.values() if sum(event) > 0)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("index", range(3))
def test_the_core_counts_what_really_happened(seed: int, index: int) -> None:
    camera = SimulatedCamera(seed, index, keep_log=True)
    picture, found = counted(camera.scene, run_out(camera, 600.0, 10.0))
    truth = Counter((kind, place, track, way) for _, kind, place, track, way in camera.truth.log)
    mine = Counter(
        {key: count for key, count in found.items() if key[0] in ("line.crossed", "zone.entered")}
    )
    assert mine == truth
    assert {
        name: [count.ins, count.outs] for name, count in picture.counts.items()
    } == camera.truth.lines
    assert sum(map(sum, camera.truth.lines.values())) > 30


def test_detections_jitter_are_missed_and_hidden_but_never_for_long() -> None:
    camera = SimulatedCamera(1, 1)
    seen: dict[str, list[int]] = {}
    still: dict[str, set[float]] = {}
    for number, frame in enumerate(frames(camera, 3000)):
        for item in frame.objects:
            seen.setdefault(item.id or "", []).append(number)
            still.setdefault(item.id or "", set()).add(item.box[0])
    pauses = [later - earlier for numbers in seen.values() for earlier, later in pairwise(numbers)]
    assert max(pauses) <= 12
    assert sum(1 for pause in pauses if pause > 1) > 50
    assert all(len(boxes) > 5 for boxes in still.values() if len(boxes) > 10)


def test_some_vehicles_show_their_plates() -> None:
    items = [
        item
        for frame in frames(SimulatedCamera(1, 1), 3000)
        for item in frame.objects
        if item.label in ("car", "bus", "truck")
    ]
    plated = {item.id for item in items if item.attributes and "license_plate" in item.attributes}
    assert 0 < len(plated) < len({item.id for item in items})


def test_a_site_has_a_scene_for_every_camera() -> None:
    cameras = site.cameras("demo", 8)
    scenes = site.scenes(1, cameras)
    assert list(scenes) == cameras == [f"demo-{number}" for number in range(1, 9)]
    assert all(scene.zones and scene.lines for scene in scenes.values())
    assert site.names(cameras)["demo-2"] == "Street 2"
    for layout in LAYOUTS:
        assert msgspec.json.decode(msgspec.json.encode(layout.scene), type=Scene) == layout.scene
