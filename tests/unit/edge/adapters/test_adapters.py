"""Every adapter: the real recordings whole, the traps one by one, and nothing that makes one
crash."""

import json
from collections import Counter, defaultdict
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.identifiers import is_id
from actors.core.messages.observations import Object, Observation
from actors.core.times import to_us
from edge.adapters.formats import FORMATS, adapter
from edge.adapters.readings import AdapterOptions, Reading, ReadMessage, Rejection, camera_id
from edge.sorting import Sorter
from tests.support.load.recordings import recording


def read(name: str, *lines: bytes | str | dict[str, Any], **options: Any) -> list[Reading]:
    encoded = [
        line
        if isinstance(line, bytes)
        else line.encode()
        if isinstance(line, str)
        else json.dumps(line).encode()
        for line in lines
    ]
    return list(adapter(name)(encoded, AdapterOptions(**options)))


def one(name: str, line: bytes | str | dict[str, Any], **options: Any) -> Object:
    (seen,) = read(name, line, **options)
    assert isinstance(seen, ReadMessage), seen
    assert seen.observation.objects is not None
    (found,) = seen.observation.objects
    return found


def refused(name: str, line: bytes | str | dict[str, Any], **options: Any) -> str:
    (found,) = read(name, line, **options)
    assert isinstance(found, Rejection), found
    return found.code


def full(box: tuple[Any, Any, Any, Any] = (96, 0, 480, 376), **changes: Any) -> dict[str, Any]:
    corners = dict(zip(("topleftx", "toplefty", "bottomrightx", "bottomrighty"), box, strict=True))
    vehicle = {
        "make": "VW",
        "license": "AB-1",
        "confidence": 0.7,
        "type": "sedan",
        "color": "UNKNOWN",
    }
    return {
        "@timestamp": "2018-09-12T17:20:38.026Z",
        "sensor": {"id": "Cam_1"},
        "event": {"type": "moving"},
        "object": {"id": "7", "vehicle": vehicle, "bbox": corners},
        **changes,
    }


def test_the_garage_is_accounted_for_whole() -> None:
    readings = list(
        adapter("deepstream")(
            recording("nvidia-360d/garage.jsonl").read_bytes().splitlines(), AdapterOptions()
        )
    )
    assert len(readings) == 2000
    seen = [reading for reading in readings if isinstance(reading, ReadMessage)]
    assert len(seen) == 2000
    newest: dict[str, int] = {}
    behind = 0
    sorters: dict[str, Sorter[ReadMessage]] = defaultdict(Sorter)
    for reading in seen:
        moment = to_us(reading.observation.time)
        behind += moment < newest.get(reading.source, 0)
        newest[reading.source] = max(moment, newest.get(reading.source, 0))
        assert sorters[reading.source].push(moment, reading).late == []
    assert behind == 66  # 3.3 % late within their camera
    assert not any(sorter.flush().late for sorter in sorters.values())
    assert len(newest) == 50
    assert len({camera_id(source) for source in newest}) == 50
    assert Counter(len(reading.observation.objects or []) for reading in seen) == {1: 1994, 0: 6}


def test_the_raw_detections_are_accounted_for_whole() -> None:
    lines = recording("opendatacam/rawdetections.ndjson").read_bytes().splitlines()
    readings = list(adapter("opendatacam")(lines, AdapterOptions(camera="road")))
    assert len(readings) == 2573
    seen = [reading for reading in readings if isinstance(reading, ReadMessage)]
    assert len(seen) == 2573
    assert sum(len(reading.observation.objects or []) for reading in seen) == 52_980
    assert sum(len(reading.dropped) for reading in seen) == 0
    times = [to_us(reading.observation.time) for reading in seen]
    assert times == sorted(set(times))


def test_deepstream_full() -> None:
    found = one("deepstream", full())
    assert found.box == (0.1, 0.0, 0.5, 0.5)
    assert (found.label, found.sub_label, found.score, found.id) == ("vehicle", "sedan", 0.7, "7")
    assert found.attributes == {"make": "VW", "license_plate": "AB-1"}
    assert one("deepstream", full(), frame_size=(1920, 752)).box[2] == 0.25


def test_deepstream_says_nothing_is_there() -> None:
    (seen,) = read("deepstream", full((0, 0, 0, 0), event={"type": "empty"}))
    assert isinstance(seen, ReadMessage)
    assert seen.observation.objects == []


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (full((None, 10, 10, 100)), "malformed"),
        (full((True, 10, 10, 100)), "malformed"),
        (full(sensor={}), "no_camera"),
        ({**full(), "@timestamp": "yesterday"}, "bad_time"),
        ({**full(), "@timestamp": "2018-09-12T17:20:38"}, "bad_time"),
        ({**full(), "@timestamp": None}, "no_time"),
        (full(object=None), "malformed"),
        ("[[]]", "malformed"),
        ("1", "malformed"),
        ("{", "malformed"),
        (b"\xff\xfe", "malformed"),
        ("[" * 100_000, "malformed"),
        (b"x" * 1_100_000, "too_long"),
    ],
)
def test_deepstream_refuses_with_a_reason(message: Any, code: str) -> None:
    assert refused("deepstream", message) == code


@pytest.mark.parametrize(
    ("message", "code"),
    [(full((1000, 0, 2000, 100)), "box_outside"), (full((10, 10, 10, 100)), "box_without_area")],
)
def test_a_bad_box_costs_itself_and_not_its_frame(message: Any, code: str) -> None:
    (seen,) = read("deepstream", message)
    assert isinstance(seen, ReadMessage)
    assert seen.observation.objects == []
    assert [dropped.code for dropped in seen.dropped] == [code]


def test_deepstream_minimal_has_no_confidence_without_a_classifier() -> None:
    message = {
        "version": "4.0",
        "id": "12",
        "@timestamp": "2024-01-01T00:00:00.000Z",
        "sensorId": "north",
        "objects": [
            "5|96|0|480|376|Vehicle",
            "6|96|0|480|376|Vehicle|#|sedan|VW|M|blue|AB-1|CA|0.8",
            "7|1|2|3|Person",
            4,
        ],
    }
    (seen,) = read("deepstream", message)
    assert isinstance(seen, ReadMessage)
    assert [(item.id, item.score) for item in seen.observation.objects or []] == [
        ("5", None),
        ("6", 0.8),
    ]
    assert [dropped.code for dropped in seen.dropped] == ["malformed", "malformed", "unknown_field"]


def test_opendatacam_boxes_are_centred_and_scores_percent() -> None:
    detection = {"x": 960, "y": 540, "w": 192, "h": 108, "prob": 51, "name": "car"}
    outside = {"x": 5000, "y": 540, "w": 192, "h": 108, "prob": 51, "name": "car"}
    (seen,) = read(
        "opendatacam", {"frame": 30, "detections": [detection, outside]}, camera="c", fps=10.0
    )
    assert isinstance(seen, ReadMessage)
    assert seen.observation.objects == [Object("car", (0.45, 0.45, 0.55, 0.55), 0.51)]
    assert [dropped.code for dropped in seen.dropped] == ["box_outside"]
    assert seen.observation.time.isoformat() == "2026-01-01T00:00:03+00:00"


def test_mot_frames_are_gathered_whatever_the_order_of_rows() -> None:
    rows = [
        "1,1,1,1,192,108,1,1,1",
        "2,1,193,1,192,108,1,1,1",
        "1,2,961,541,192,108,1,3,1",
        "2,9,1,1,10,10,0,1,1",
        "1,3,1,1,9,9,1,8,1",
    ]
    seen = [reading for reading in read("mot", *rows, fps=1.0) if isinstance(reading, ReadMessage)]
    assert [
        [(item.id, item.label) for item in reading.observation.objects or []] for reading in seen
    ] == [
        [("1", "person"), ("2", "car")],
        [("1", "person")],
    ]
    assert (seen[0].observation.objects or [])[0].box == (0.0, 0.0, 0.1, 0.1)
    assert [reading.observation.time.second for reading in seen] == [0, 1]


def test_mot_results_have_scores_and_detections_no_ids() -> None:
    (seen, bad) = sorted(
        read("mot", "1,-1,1,1,192,108,0.5,-1,-1,-1", "1,2"),
        key=lambda reading: isinstance(reading, Rejection),
    )
    assert isinstance(seen, ReadMessage)
    assert seen.observation.objects == [Object("person", (0.0, 0.0, 0.1, 0.1), 0.5)]
    assert isinstance(bad, Rejection)


def test_ndjson_is_our_own_shape() -> None:
    line = {
        "camera": "gate",
        "time": "2026-01-01T00:00:00Z",
        "objects": [{"label": "car", "box": [0, 0, 0.5, 0.5]}],
        "alarm": {"type": "a"},
    }
    (seen,) = read("ndjson", line)
    assert isinstance(seen, ReadMessage)
    assert (seen.source, type(seen.observation), seen.observation.alarm is not None) == (
        "gate",
        Observation,
        True,
    )
    assert refused("ndjson", {"time": "2026-01-01T00:00:00"}) == "malformed"
    (bad,) = read("ndjson", {**line, "objects": [{"label": "car", "box": [0.5, 0, 0.5, 0.5]}]})
    assert isinstance(bad, ReadMessage)
    assert [dropped.code for dropped in bad.dropped] == ["box_without_area"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        "frame",
        "detections",
        "x",
        "y",
        "w",
        "h",
        "prob",
        "name",
        "object",
        "bbox",
        "sensor",
        "id",
        "objects",
        "@timestamp",
        "time",
    ]
)
SHAPED = st.dictionaries(
    KEYS, JSON | st.lists(st.dictionaries(KEYS, JSON, max_size=5), max_size=2), max_size=6
)


@pytest.mark.parametrize("name", sorted(FORMATS))
@given(
    value=JSON | SHAPED, raw=st.binary(max_size=40), digits=st.text("0123456789.,-e ", max_size=40)
)
def test_no_input_makes_an_adapter_crash(name: str, value: Any, raw: bytes, digits: str) -> None:
    lines = [json.dumps(value).encode(), raw.replace(b"\n", b""), digits.encode()]
    for reading in adapter(name)(lines, AdapterOptions()):
        if isinstance(reading, ReadMessage):
            msgspec.msgpack.decode(msgspec.msgpack.encode(reading.observation), type=Observation)


@given(st.lists(st.text(min_size=1, max_size=80), unique=True, max_size=30))
def test_camera_ids_are_valid_and_distinct(names: list[str]) -> None:
    ids = [camera_id(name) for name in names]
    assert all(is_id(found) for found in ids)
    assert len(set(ids)) == len(names)
    assert ids == [camera_id(name) for name in names]


def test_camera_ids_that_are_valid_stay() -> None:
    assert camera_id("gate-1") == "gate-1"
    assert camera_id("Gate-1") != camera_id("gate-1")
    assert camera_id(camera_id("Gate-1")) == camera_id("Gate-1")


def test_mot_boxes_that_the_picture_cuts_off_are_kept() -> None:
    rows = ["1,1,-119,541,239,1000,0.9,-1,-1,-1", "1,2,3000,1,10,10,0.9,-1,-1,-1"]
    (seen,) = adapter("mot")(
        [row.encode() for row in rows], AdapterOptions((1920, 1080), 25.0, "c")
    )
    assert isinstance(seen, ReadMessage)
    assert [thing.id for thing in seen.observation.objects or []] == ["1"]
    assert (seen.observation.objects or [])[0].box == pytest.approx(
        (-120 / 1920, 0.5, 119 / 1920, 1540 / 1080)
    )
    assert [dropped.code for dropped in seen.dropped] == ["box_outside"]
