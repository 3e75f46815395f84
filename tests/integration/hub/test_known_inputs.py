"""Small inputs of which the right answer is known, made after public reports of people who do this
job: by socket, by HTTP and as a file.

Each is the smallest that shows its fault; sources are named beside it. The scene has a zone ``z``
and a vertical line ``l`` at x = 0.5.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.hub.entrances import Frame, by_http, by_replay, by_socket, open_gate

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SCENE = {
    "zones": {
        "z": {"points": [[0.3, 0.3], [0.7, 0.3], [0.7, 0.95], [0.3, 0.95]]},
        "edge": {"points": [[0, 0], [0.2, 0], [0.2, 1], [0, 1]]},
    },
    "lines": {"l": {"points": [[0.5, 0.0], [0.5, 1.0]]}},
}
MOT_SIZE, STREAM_SIZE = (1920, 1080), (960, 752)
UNTRACKED = 2**64 - 1

Happened = Callable[..., list[dict[str, Any]]]  # types → the camera's events of them


@dataclass(frozen=True)
class Known:
    """`frames` in our own words, and `text` in the words of its program. `right(state, events)`
    holds by every way in."""

    frames: list[Frame]
    right: Callable[[dict[str, Any], Happened], bool]
    form: str = "ndjson"
    text: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    def file(self) -> str:
        """The text of its file."""
        return self.text or "".join(json.dumps(frame) + "\n" for frame in self.frames)


def at(index: int, every_s: float = 0.1, start: datetime = START) -> str:
    return (start + timedelta(seconds=index * every_s)).isoformat()


def frame(time: str, *objects: Frame) -> Frame:
    return {"time": time, "objects": list(objects)}


def thing(label: str, box: Sequence[float], track: Any, score: float | None = 0.9) -> Frame:
    return {"label": label, "box": list(box), "id": track} | (
        {} if score is None else {"score": score}
    )


def scaled(box: Sequence[float], size: tuple[int, int]) -> list[float]:
    return [side / size[axis % 2] for axis, side in enumerate(box)]


def mot(
    rows: list[list[tuple[int, int, int, int, int]]],
    tail: str,
    right: Any,
    score: float | None,
    gap: str = ",",
) -> Known:
    """Frames of (id, left, top, width, height), pixels from 1; `tail`: what each row ends with."""
    text = "".join(
        gap.join(map(str, (number, *row))) + gap + gap.join(tail.split()) + "\n"
        for number, found in enumerate(rows, 1)
        for row in found
    )
    frames = [
        frame(
            at(index, 1 / 30),
            *(
                thing(
                    "person", scaled((x - 1, y - 1, x - 1 + w, y - 1 + h), MOT_SIZE), str(i), score
                )
                for i, x, y, w, h in found
            ),
        )
        for index, found in enumerate(rows)
    ]
    return Known(frames, right, "mot", text, {"frame_size": MOT_SIZE})


def stream(
    boxes: list[list[float]], track: str, label: str, **options: Any
) -> tuple[list[Frame], list[dict[str, Any]]]:
    """Frames, and the messages of DeepStream's full schema in its new API (the class is a key), one
    object each."""
    frames, messages = [], []
    for index in range(40):
        moved = [
            [
                side + 8 * index * (axis % 2 == 0) * options.get("moves", 1)
                for axis, side in enumerate(box)
            ]
            for box in boxes
        ]
        frames.append(
            frame(
                at(index), *(thing(label, scaled(box, STREAM_SIZE), track, 0.81) for box in moved)
            )
        )
        for box in moved:
            sides = dict(
                zip(("topleftx", "toplefty", "bottomrightx", "bottomrighty"), box, strict=True)
            )
            seen = {
                "id": track,
                "speed": 0,
                label: {"confidence": 0.81},
                "bbox": sides,
                "location": {},
                "coordinate": {},
            }
            messages.append(
                {
                    "@timestamp": at(index),
                    "sensor": {"id": "@camera@", "type": "Camera"},
                    "object": seen,
                    "event": {"type": ""},
                }
            )
    return frames, messages


def crossings(events: Happened) -> list[str]:
    return sorted(event["data"]["direction"] for event in events("line.crossed"))


def boxmot() -> (
    Known
    # mikel-brostrom/boxmot examples/utils.py, #751: scores cut to whole numbers, classes from 0,
    # blanks
):
    rows = [[(1, 600 + 8 * i, 478, 56, 170), (2, 1300 - 8 * i, 420, 197, 162)] for i in range(80)]

    def right(state: dict[str, Any], events: Happened) -> bool:
        started = [(event["track"], event["label"]) for event in events("track.started")]
        return started == [("1", "person"), ("2", "person")] and crossings(events) == ["in", "out"]

    return mot(rows, "0 0 -1", right, None, " ")


def new_api(
    indent: int | None,
) -> (
    Known
):  # NVIDIA-AI-IOT/deepstream_reference_apps dsmeta_payload.cpp; json_to_string(root, TRUE)
    frames, messages = stream([[200, 200, 300, 400]], "5", "car")

    def right(state: dict[str, Any], events: Happened) -> bool:
        (track,) = state["tracks"]
        return (track["label"], track["score"]) == ("car", 0.81) and [
            event["zone"] for event in events("zone.entered")
        ] == ["z"]

    return Known(
        frames,
        right,
        "deepstream",
        "\n".join(json.dumps(message, indent=indent) for message in messages),
    )


def untracked_minimal() -> Known:  # levipereira/deepstream-yolo-e2e #18: 2^64-1 means "untracked"
    boxes = [
        ("Person", (100, 100, 200, 300)),
        ("Car", (700, 400, 800, 600)),
        ("Person", (300, 100, 400, 300)),
    ]
    frames = [
        frame(
            at(i),
            *(thing(label, scaled(box, STREAM_SIZE), UNTRACKED, None) for label, box in boxes),
        )
        for i in range(60)
    ]
    texts = ["|".join(map(str, (UNTRACKED, *box, label))) for label, box in boxes]
    messages = [
        {
            "version": "4.0",
            "id": str(i),
            "@timestamp": at(i),
            "sensorId": "@camera@",
            "objects": texts,
        }
        for i in range(60)
    ]
    text = "\n".join(map(json.dumps, messages))
    return Known(
        frames,
        lambda state, events: (
            state["objects"] == {"Person": 2, "Car": 1} and not events("track.started")
        ),
        "deepstream",
        text,
    )


def untracked_full() -> Known:  # one message an object: those of one sensor and time are one frame
    frames, messages = stream([[100, 200, 200, 400], [400, 200, 500, 400]], "-1", "person", moves=0)
    text = "\n".join(map(json.dumps, messages))
    return Known(
        frames, lambda state, events: state["objects"] == {"person": 2}, "deepstream", text
    )


def same_id_twice() -> Known:  # boxmot #751, TrackEval #151
    rows = [[(1, 600 + 4 * i, 478, 56, 170), (1, 1300 - 4 * i, 420, 197, 162)] for i in range(80)]

    def right(state: dict[str, Any], events: Happened) -> bool:
        told: dict[str, int] = state["health"]["mended"]
        return told == {"repeated_id": 80} and state["objects"] == {"person": 2}

    return mot(rows, "0.9 -1 -1 -1", right, 0.9)


def clock_back() -> Known:  # blakeblackshear/frigate #2158, evercam/ex_nvr #404
    walks = [(START, "1", 0.003), (START - timedelta(hours=1), "2", 0.004)]
    frames = [
        frame(
            at(i, start=start), thing("person", (0.17 + step * i, 0.6, 0.23 + step * i, 0.8), track)
        )
        for start, track, step in walks
        for i in range(100)
    ]

    def right(state: dict[str, Any], events: Happened) -> bool:
        return (
            state["health"]["seq"] == 200
            and len(events("camera.clock_stepped")) == 1
            and state["health"]["late"] == 0
        )

    return Known(frames, right)


def leaves_picture() -> (
    Known
):  # ultralytics #3914, ByteTrack #154 #175, sort #89 #121, darknet #4018 #6422
    lefts = [round(0.2 - 0.01 * i, 2) for i in range(40)]
    frames = [
        frame(
            at(i),
            thing("person", (0.47, 0.6, 0.53, 0.8), "1"),
            thing("person", (left, 0.3, round(left + 0.15, 2), 0.8), "2"),
        )
        for i, left in enumerate(lefts)
    ]

    def right(state: dict[str, Any], events: Happened) -> bool:
        health = state["health"]
        counts = (health["seq"], health["rejected"], health["mended"], health["left_out"])
        boxes = {track["id"]: track["box"] for track in state["tracks"]}
        return (
            counts == (40, 0, {"clipped": 14}, {"box_outside": 5})
            and boxes["1"][0] == 0.47
            and boxes["2"] == [0, 0.3, 0.01, 0.8]
        )

    return Known(frames, right)


def zero_height() -> Known:  # ultralytics #25769
    good, flat = (
        thing("person", (0.47, 0.6, 0.53, 0.8), "1"),
        thing("person", (0.3, 1.0, 0.4, 1.0), "2", 0.7),
    )
    frames = [frame(at(i), good, flat) for i in range(30)]

    def right(state: dict[str, Any], events: Happened) -> bool:
        told = state["health"]["left_out"] == {"box_without_area": 30}
        return (
            told
            and [track["id"] for track in state["tracks"]] == ["1"]
            and len(events("camera.online")) == 1
        )

    return Known(frames, right)


def clipped_anchor() -> (
    Known
):  # roboflow/supervision #1748, #1991: the true middle is 50 pixels left of the picture
    def right(state: dict[str, Any], events: Happened) -> bool:
        (started,) = events("track.started")
        return (
            started["data"]["box"][0] == 0
            and not events("zone.entered")
            and state["health"]["mended"] == {"clipped": 40}
        )

    return mot([[(7, -150, 300, 200, 500)] for _ in range(40)], "0.9 -1 -1 -1", right, 0.9)


def settles() -> Known:  # frigate #7431, #10464
    frames = [
        frame(
            at(i),
            thing("truck" if i < 3 else "car", (0.17 + 0.01 * i, 0.6, 0.23 + 0.01 * i, 0.8), "1"),
        )
        for i in range(60)
    ]
    return Known(
        frames, lambda state, events: [track["label"] for track in state["tracks"]] == ["car"]
    )


def reused_id() -> Known:  # supervision #1868
    frames = [frame(at(i), thing("person", (0.07, 0.6, 0.13, 0.8), "1")) for i in range(20)]
    frames += [frame(at(i + 10), thing("car", (0.87, 0.6, 0.93, 0.8), "1")) for i in range(20, 40)]

    def right(state: dict[str, Any], events: Happened) -> bool:
        labels = [event["label"] for event in events("track.started")]
        return (
            labels == ["person", "car"]
            and not events("line.crossed")
            and [track["label"] for track in state["tracks"]] == ["car"]
        )

    return Known(frames, right)


def tracker_export() -> Known:  # opendatacam #129: its own times, percent
    start = datetime(2026, 5, 4, 7, tzinfo=UTC)
    lefts = [600 + 8 * i for i in range(60)]
    frames = [
        frame(
            at(i, start=start),
            thing("car", scaled((x - 69.5, 564 - 106, x + 69.5, 564 + 106), MOT_SIZE), 166, 0.87),
        )
        for i, x in enumerate(lefts)
    ]
    things = [
        {
            "id": 166,
            "x": x,
            "y": 564,
            "w": 139,
            "h": 212,
            "bearing": 255,
            "confidence": 87,
            "name": "car",
            "areas": [],
        }
        for x in lefts
    ]
    rows = [
        {"recordingId": "r", "frameId": 4500 + i, "timestamp": at(i, start=start), "objects": [one]}
        for i, one in enumerate(things)
    ]

    def right(state: dict[str, Any], events: Happened) -> bool:
        (track,) = state["tracks"]
        first = events("track.started")[0]["time"]
        return (track["id"], track["score"], state["time"][:22], first[:17]) == (
            "166",
            0.87,
            "2026-05-04T07:00:05.90",
            "2026-05-04T07:00:",
        )

    return Known(
        frames, right, "opendatacam", "\n".join(map(json.dumps, rows)), {"frame_size": MOT_SIZE}
    )


def stands_on_line(noise: Callable[[random.Random], float]) -> Known:  # opendatacam #501
    chance = random.Random(17)
    way = (
        [0.3 + 0.01 * i for i in range(20)]
        + [0.5 + noise(chance) for _ in range(300)]
        + [0.5 - 0.01 * i for i in range(20)]
    )
    frames = [
        frame(at(i, 0.04), thing("person", (x - 0.03, 0.6, x + 0.03, 0.8), "1"))
        for i, x in enumerate(way)
    ]
    return Known(
        frames,
        lambda state, events: not events("line.crossed") and len(events("track.started")) == 1,
    )


KNOWN: dict[str, Callable[[], Known]] = {
    "results of boxmot": boxmot,
    "deepstream's new api": lambda: new_api(None),
    "deepstream pretty-printed": lambda: new_api(2),
    "deepstream minimal, untracked": untracked_minimal,
    "deepstream full, untracked": untracked_full,
    "an id twice in a frame": same_id_twice,
    "a clock an hour back": clock_back,
    "a box leaves the picture": leaves_picture,
    "a box without height": zero_height,
    "the anchor of a clipped box": clipped_anchor,
    "a label that settles": settles,
    "an id that a car takes over": reused_id,
    "an export of opendatacam's tracker": tracker_export,
    "jitter of 0.5 % on the line": lambda: stands_on_line(lambda chance: chance.gauss(0, 0.005)),
    "jitter of 1 % on the line": lambda: stands_on_line(lambda chance: chance.uniform(-0.01, 0.01)),
}


@pytest.mark.parametrize("way", ["socket", "HTTP", "file"])
async def test_a_known_input_gives_the_right_answer(tmp_path: Path, way: str) -> None:
    known = {f"c{number}": make() for number, make in enumerate(KNOWN.values())}
    names = dict(zip(known, KNOWN, strict=True))
    async with open_gate(tmp_path, list(known), SCENE) as gate:
        frames = {camera: one.frames for camera, one in known.items()}
        if way == "socket":
            await by_socket(gate, "json", frames)
        elif way == "HTTP":
            await by_http(gate, "msgpack", frames)
        else:
            for camera, one in known.items():
                accounts = await by_replay(
                    gate, one.form, {camera: one.file().replace("@camera@", camera)}, **one.options
                )
                assert accounts[camera].adds_up, (names[camera], accounts)
                assert accounts[camera].rejected == {}, (names[camera], accounts)
        wrong = {}
        for camera, one in known.items():
            state = await gate.state(camera, len(one.frames))

            def events(*kinds: str, camera: str = camera) -> list[dict[str, Any]]:
                return gate.events(camera, *kinds)

            if not one.right(state, events):
                wrong[names[camera]] = (
                    state,
                    gate.events(
                        camera,
                        "track.started",
                        "zone.entered",
                        "line.crossed",
                        "camera.clock_stepped",
                    ),
                )
        assert wrong == {}
