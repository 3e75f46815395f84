"""Formats as their programs write them: each input is made here, after public reports of people who
do this job."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.untracked import is_untracked
from edge.adapters.coco_classes import CLASSES
from edge.adapters.documents import Document, documents
from edge.adapters.formats import adapter
from edge.adapters.frame_order import FrameOrder
from edge.adapters.looks import looks_like
from edge.adapters.readings import MAX_LINE_BYTES, AdapterOptions, ReadMessage, Rejection
from edge.replay_account import frames, told

UNTRACKED = 2**64 - 1


def seen(name: str, text: str, **options: Any) -> list[ReadMessage]:
    """The frames of a text, every message of which is good."""
    readings = list(
        adapter(name)(text.encode().splitlines(keepends=True), AdapterOptions(**options))
    )
    assert [found for found in readings if isinstance(found, Rejection)] == []
    return [found for found in readings if isinstance(found, ReadMessage)]


def objects(found: Iterable[ReadMessage]) -> list[tuple[str, str | None, float | None]]:
    return [
        (thing.label, thing.id, thing.score)
        for frame in found
        for thing in frame.observation.objects or []
    ]


# MOT


def mot(*tail: object, separator: str = " ", rows: int = 3) -> str:
    boxes = ((track, 100 * track, frame) for frame in range(1, rows + 1) for track in (1, 2))
    return "".join(
        separator.join(str(field) for field in (frame, track, left, 100, 50, 120, *tail)) + "\n"
        for track, left, frame in boxes
    )


@pytest.mark.parametrize(
    ("tail", "score"),
    [
        (
            (0, 0, -1),
            None,
        ),  # boxmot: nine columns, the score cut to a whole number, the class from 0
        ((0.91, 2, -1), 0.91),
        ((87, 0, -1), 0.87),  # percent
        ((0.5, -1, -1, -1), 0.5),  # ByteTrack: ten columns
        ((-1, -1, -1, -1), None),  # DeepSORT writes no score
        ((1, -1, -1, -1), 1.0),
        ((0.25,), 0.25),
        ((), None),
    ],
)
@pytest.mark.parametrize("separator", [" ", ","])
def test_results_of_trackers_are_objects(
    tail: tuple[object, ...], score: float | None, separator: str
) -> None:
    found = seen("mot", mot(*tail, separator=separator))
    assert objects(found) == [("person", "1", score), ("person", "2", score)] * 3
    assert sum(len(frame.dropped) for frame in found) == 0


def test_a_file_of_nine_columns_is_ground_truth_only_when_every_row_is() -> None:
    truth = seen("mot", mot(1, 3, 0.8, separator=","))
    assert {label for label, _, _ in objects(truth)} == {"car"}
    not_truth = seen("mot", mot(1, 3, 0.8, separator=",") + "9,1,1,1,10,10,0.4,3,-1\n")
    assert {label for label, _, _ in objects(not_truth)} == {"person"}


def test_ground_truth_that_is_not_to_be_counted_is_counted_as_left_out() -> None:
    (frame,) = seen(
        "mot",
        "1,1,1,1,192,108,1,1,1\n1,2,1,1,192,108,0,1,1\n1,3,1,1,9,9,1,8,1\n1,4,1,1,9,9,1,13,0.5\n",
    )
    assert objects([frame]) == [("person", "1", None)]
    assert [dropped.code for dropped in frame.dropped] == ["ignored"] * 3


def test_classes_are_named_by_the_user_and_a_guess_is_told() -> None:
    text = mot(0.5, 2, -1)
    assert {label for label, _, _ in objects(seen("mot", text, labels={"2": "car"}))} == {"car"}
    assert {label for label, _, _ in objects(seen("mot", text, labels={"": "cyclist"}))} == {
        "cyclist"
    }
    assert {
        label
        for label, _, _ in objects(
            seen("mot", text, labels={str(n): name for n, name in enumerate(CLASSES)})
        )
    } == {"car"}
    told = Counter(remark for frame in seen("mot", text) for remark in frame.remarks)
    assert told == {"class 2 was taken for a person (--label 2=NAME, or --classes coco)": 6}
    assert not any(frame.remarks for frame in seen("mot", mot(0.5, -1, -1, -1)))


def test_columns_that_nothing_reads_are_told() -> None:
    (remark,) = {
        remark for frame in seen("mot", mot(0.5, -1, -1, -1, 7, 8)) for remark in frame.remarks
    }
    assert remark == "columns after 10 were not read"


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 99)), max_size=60), st.integers(1, 7))
def test_frames_are_in_order_and_whole_however_many_runs_they_were_sorted_in(
    rows: list[tuple[int, int]], held: int
) -> None:
    order = FrameOrder(held_rows=held)
    for frame, value in rows:
        order.add(frame, str(value).encode())
    found = [(frame, [int(row) for row in values]) for frame, values in order.frames()]
    assert found == [
        (frame, [value for at, value in rows if at == frame])
        for frame in sorted({frame for frame, _ in rows})
    ]


@pytest.mark.parametrize("tracks", [30, pytest.param(100, marks=pytest.mark.prove)])
def test_hundreds_of_thousands_of_rows_cost_bounded_memory(tracks: int) -> None:
    """A million rows held whole cost 466 MiB. Rows come by track, as ground truth does, so no frame
    is whole before the end."""
    script = """
import resource, sys
from edge.adapters import mot
from edge.adapters.readings import AdapterOptions
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = (b"%d,%d,100,100,50,120,0.5,-1,-1,-1\\n" % (frame, track) for track in range(int(sys.argv[1])) for frame in range(1, 10001))
frames = sum(1 for _ in mot.read(rows, AdapterOptions()))
print(frames, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base)
"""  # noqa: E501
    done = subprocess.run(
        [sys.executable, "-c", script, str(tracks)],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    count, kib = map(int, done.stdout.split())
    assert count == 10_000
    assert kib < 64 * 1024


# DeepStream


def full(
    second: float,
    left: int = 100,
    track: str = "5",
    key: str = "person",
    sensor: str = "c",
    **details: Any,
) -> dict[str, Any]:
    bbox = {"topleftx": left, "toplefty": 200, "bottomrightx": left + 100, "bottomrighty": 400}
    thing = {
        "id": track,
        "speed": 0,
        key: {"confidence": 0.81, **details},
        "bbox": bbox,
        "location": {"lat": 1},
        "coordinate": {"x": 1},
    }
    return {
        "@timestamp": f"2026-03-01T12:00:{second:06.3f}Z",
        "sensor": {"id": sensor},
        "object": thing,
        "event": {"type": ""},
    }


@pytest.mark.parametrize("key", ["car", "forklift", "person", "Lieferwagen"])
def test_the_new_api_has_the_class_as_key(key: str) -> None:
    assert objects(seen("deepstream", json.dumps(full(0, key=key)))) == [(key, "5", 0.81)]


SPELLINGS = [
    UNTRACKED,
    str(UNTRACKED),
    -1,
    "-1",
    " -1 ",
    "",
    float(UNTRACKED),
    f"{float(UNTRACKED):g}",
    "1.8446744073709552e+19",
    hex(UNTRACKED),
    hex(UNTRACKED).upper(),
    f"+{UNTRACKED}",
    "-1.0",
    "null",
    None,
]


@pytest.mark.parametrize("track", SPELLINGS)
def test_untracked_in_every_spelling_is_no_track(track: Any) -> None:
    message = full(0)
    message["object"]["id"] = track
    assert objects(seen("deepstream", json.dumps(message))) == [("person", None, 0.81)]


@pytest.mark.parametrize(
    "track",
    [
        "0",
        "1",
        "7",
        "18446744073709551614",
        "-2",
        "person-1",
        "1e3",
        "A1",
        "0x10",
        "ffffffffffffffff-x",
    ],
)
def test_a_track_stays_a_track(track: str) -> None:
    assert not is_untracked(track)


def test_the_minimal_schema_keeps_untracked_boxes_as_three_objects() -> None:
    boxes = [
        f"{UNTRACKED}|{left}|100|{left + 100}|300|{label}"
        for left, label in ((100, "Person"), (700, "Car"), (300, "Person"))
    ]
    message = {
        "version": "4.0",
        "id": "0",
        "@timestamp": "2026-03-01T12:00:00Z",
        "sensorId": "cam-a",
        "objects": boxes,
    }
    assert objects(seen("deepstream", json.dumps(message))) == [
        ("Person", None, None),
        ("Car", None, None),
        ("Person", None, None),
    ]


COLUMNS = "of the minimal schema were not read"


@pytest.mark.parametrize(
    ("tail", "score", "unread"),
    [
        ("", None, []),
        ("|#|0.75", 0.75, []),
        ("|#||||UNKNOWN|||0.5", 0.5, []),
        ("|#|", None, []),
        ("|#|sedan|Audi|A4|blue|X 1|EU|0.75", 0.75, ["columns of secondary classifiers"]),
        ("|#|male|40||||beard|Ada||blue|0.9", 0.9, ["columns of secondary classifiers"]),
        (
            "|#|sedan|often",
            None,
            ["columns of secondary classifiers", "confidences that are no numbers"],
        ),
        ("|7", None, ["columns between label and #"]),
        ("|pose2D|18|0.1|0.2|0.99", None, ["columns from pose2D on"]),
        (
            "|#|sedan|0.75|pose2D|18|0.1|0.2|0.99",
            0.75,
            ["columns from pose2D on", "columns of secondary classifiers"],
        ),
    ],
)
def test_columns_of_the_minimal_schema_are_read_or_named_and_counted(
    tail: str, score: float | None, unread: list[str]
) -> None:
    boxes = [f"{track}|100|100|200|300|car{tail}" for track in (1, 2)]
    message = {
        "version": "4.0",
        "id": "0",
        "@timestamp": "2026-03-01T12:00:00Z",
        "sensorId": "cam-a",
        "objects": boxes,
    }
    [found] = seen("deepstream", json.dumps(message))
    assert objects([found]) == [("car", "1", score), ("car", "2", score)]
    assert Counter(found.remarks) == {f"{name} {COLUMNS}": 2 for name in unread}
    assert [(dropped.code, dropped.detail) for dropped in found.dropped] == (
        [("unknown_field", ", ".join(unread))] if unread else []
    )
    assert (told(found).faults or {}) == ({"unknown_field": 1} if unread else {})


def test_messages_of_one_sensor_and_time_are_one_frame() -> None:
    messages = [
        full(0, 100, "-1"),
        full(0, 400, "-1"),
        full(0.1, 100, "-1"),
        full(0.1, 400, "-1"),
        full(0.2, 100, "-1"),
    ]
    whole = frames(seen("deepstream", "\n".join(map(json.dumps, messages))))
    assert [(len(frame.observation.objects or []), messages) for frame, messages in whole] == [
        (2, 2),
        (2, 2),
        (1, 1),
    ]


def test_frames_of_other_formats_are_never_joined() -> None:
    line = json.dumps({"time": "2026-03-01T12:00:00Z", "objects": []})
    assert [messages for _, messages in frames(seen("ndjson", f"{line}\n{line}\n"))] == [1, 1]


# how JSON is laid out

MESSAGES = [full(second / 10, 100 + second) for second in range(5)]
LAYOUTS = {
    "lines": "\n".join(map(json.dumps, MESSAGES)),
    "windows lines": "\r\n".join(map(json.dumps, MESSAGES)),
    "pretty": "\n".join(json.dumps(message, indent=2) for message in MESSAGES),
    "pretty without indent": "\n".join(json.dumps(message, indent=0) for message in MESSAGES),
    "back to back": "".join(map(json.dumps, MESSAGES)),
    "an array": json.dumps(MESSAGES),
    "a pretty array": json.dumps(MESSAGES, indent=4),
    "an array of lines": "[\n" + ",\n".join(map(json.dumps, MESSAGES)) + "\n]\n",
    "strings with braces": "\n".join(
        json.dumps({**message, "videoPath": '}{"\\'}, indent=1) for message in MESSAGES
    ),
}


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_messages_are_read_however_they_are_laid_out(layout: str) -> None:
    found = seen("deepstream", LAYOUTS[layout])
    assert [frame.observation.time.microsecond for frame in found] == [
        0,
        100_000,
        200_000,
        300_000,
        400_000,
    ]


@given(st.sampled_from(sorted(LAYOUTS)), st.lists(st.integers(1, 400), max_size=8))
def test_messages_are_read_wherever_a_piece_ends(layout: str, sizes: list[int]) -> None:
    data, pieces = LAYOUTS[layout].encode(), []
    for size in sizes:
        piece, data = data[:size], data[size:]
        pieces.append(piece)
    found = list(documents([*pieces, data]))
    assert [document.value for document in found if isinstance(document, Document)][-1][
        "@timestamp"
    ] == MESSAGES[-1]["@timestamp"]
    assert len(found) == len(MESSAGES)


@pytest.mark.parametrize(
    "broken",
    [
        '{"a": 1',
        '{"a": "unclosed',
        '{"a": [1, 2',
        "junk",
        '{"a": tru}',
        '"{"',
        "}}}",
        '{"a": {"b": 1}',
    ],
)
@pytest.mark.parametrize("layout", ["lines", "pretty"])
def test_a_broken_message_costs_itself(broken: str, layout: str) -> None:
    text = "\n".join([json.dumps(MESSAGES[0]), broken, LAYOUTS[layout]])
    found = list(adapter("deepstream")(text.encode().splitlines(keepends=True), AdapterOptions()))
    assert len([reading for reading in found if isinstance(reading, ReadMessage)]) == 6
    assert [reading.code for reading in found if isinstance(reading, Rejection)] == ["malformed"]


def test_a_document_without_end_is_bounded() -> None:
    pieces = [b'{"a": [' + b"1," * (MAX_LINE_BYTES // 2), b"1," * 1000] + [
        line.encode() for line in LAYOUTS["lines"].splitlines(True)
    ]
    found = list(documents(pieces))
    assert [reading.code for reading in found if isinstance(reading, Rejection)] == [
        "too_long",
        "malformed",
    ]
    assert len([reading for reading in found if isinstance(reading, Document)]) == 5


# OpenDataCam


def export(number: int, **changes: Any) -> dict[str, Any]:
    thing = {
        "id": 166,
        "x": 600,
        "y": 564,
        "w": 139,
        "h": 212,
        "bearing": 255,
        "confidence": 87,
        "name": "car",
        "areas": [],
    }
    return {
        "recordingId": "r",
        "frameId": 4500 + number,
        "timestamp": f"2026-05-04T07:00:00.{number}00Z",
        "objects": [thing],
        **changes,
    }


@pytest.mark.parametrize(
    "text",
    ["\n".join(json.dumps(export(n)) for n in range(3)), json.dumps([export(n) for n in range(3)])],
)
def test_a_tracker_export_has_its_own_times_and_scores(text: str) -> None:
    found = seen("opendatacam", text)
    assert [frame.observation.time.isoformat() for frame in found][::2] == [
        "2026-05-04T07:00:00+00:00",
        "2026-05-04T07:00:00.200000+00:00",
    ]
    assert objects(found) == [("car", "166", 0.87)] * 3


@pytest.mark.parametrize(
    "stamp", [{"$date": "2026-05-04T07:00:00.000Z"}, {"$date": 1777878000000}, 1777878000000]
)
def test_a_database_dump_has_its_times_too(stamp: Any) -> None:
    (found,) = seen("opendatacam", json.dumps(export(0, timestamp=stamp)))
    assert found.observation.time.isoformat() == "2026-05-04T07:00:00+00:00"


# COCO


def detection(image: int | str, category: int = 3, **more: Any) -> dict[str, Any]:
    return {
        "image_id": image,
        "category_id": category,
        "bbox": [192, 108, 192, 108],
        "score": 0.5,
        **more,
    }


def test_coco_results_are_frames() -> None:
    rows = [detection(2), detection(0, 1, track_id=7), detection(2, 18), detection(1, 91)]
    found = seen("coco", json.dumps(rows), fps=1.0)
    assert [frame.observation.time.second for frame in found] == [0, 1, 2]
    assert objects(found) == [
        ("person", "7", 0.5),
        ("object", None, 0.5),
        ("car", None, 0.5),
        ("dog", None, 0.5),
    ]
    assert (found[0].observation.objects or [])[0].box == pytest.approx((0.1, 0.1, 0.2, 0.2))


def test_coco_images_with_names_are_in_order_of_appearance() -> None:
    found = seen("coco", json.dumps([detection("b"), detection("a"), detection("b")]), fps=1.0)
    assert [len(frame.observation.objects or []) for frame in found] == [2, 1]


def test_coco_ground_truth_is_told_apart() -> None:
    (found,) = adapter("coco")(
        [json.dumps({"images": [], "annotations": []}).encode()], AdapterOptions()
    )
    assert isinstance(found, Rejection)
    assert "ground-truth" in found.detail


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("mot", mot(0.5, -1, -1, -1)),
        ("mot", "frame,id,x,y,w,h\n1,1,2,3,4,5\n"),
        ("deepstream", LAYOUTS["pretty"]),
        ("deepstream", LAYOUTS["an array"]),
        ("opendatacam", json.dumps([export(0)])),
        ("coco", json.dumps([detection(1)], indent=1)),
        ("ndjson", '{"time": "2026-01-01T00:00:00Z", "objects": []}'),
        (None, "GIF89a\x00\x01"),
        (None, ""),
    ],
)
def test_a_file_looks_like_what_it_is(form: str | None, text: str) -> None:
    assert looks_like(text.encode()) == form
