"""What a subscriber may ask for: less, and only where it means something."""

import msgspec
import pytest

from actors.core.errors import BadInput
from hub.access.redaction import DEFAULT, View, state
from hub.access.subscription_options import NONE, SubscriptionOptions, narrowed, parse
from hub.protocol import channels
from storage.ports.registry import CameraRecord

CAMERA, WALL = channels.parse("camera:gate"), channels.parse("site:north")
STATE = {
    "camera": "gate",
    "site": "north",
    "generation": 1,
    "version": 7,
    "offset": 3,
    "status": "online",
    "reason": None,
    "fps": 10.0,
    "place": {"floor": 1},
    "tracks": [
        {"id": "t1", "label": "car", "sub_label": "AB 123", "score": 0.9, "box": [0, 0, 1, 1]}
    ],
}


def record(camera: str, *tags: str) -> CameraRecord:
    return CameraRecord(camera, "north", "", b"{}", 1, list(tags))


def test_no_data_is_no_wish() -> None:
    assert parse(b"", CAMERA) is NONE
    assert parse(b"null", CAMERA) is NONE
    assert parse(b'{"max_hz":2,"projection":"boxes"}', CAMERA) == SubscriptionOptions(2.0, "boxes")


@pytest.mark.parametrize(
    ("data", "channel"),
    [
        (b"[]", "camera:gate"),
        (b'{"fields":["a"]}', "camera:gate"),
        (b'{"max_hz":0}', "camera:gate"),
        (b'{"max_hz":1e9}', "camera:gate"),
        (b'{"projection":"tiny"}', "camera:gate"),
        (b'{"projection":"boxes"}', "site:north"),
        (b'{"tags":["a"]}', "camera:gate"),
        (b'{"max_hz":1}', "events:site:north"),
        (b'{"tags":["' + b"x" * 5000 + b'"]}', "site:north"),
        (b"\xff", "camera:gate"),
        (b"[" * 3000, "camera:gate"),
    ],
)
def test_what_a_channel_does_not_offer_is_refused(data: bytes, channel: str) -> None:
    with pytest.raises(BadInput):
        parse(data, channels.parse(channel))


def test_a_wish_narrows_and_never_widens() -> None:
    granted = View(("plates",), frozenset({"secret"}), 2.0)
    assert narrowed(granted, SubscriptionOptions(10.0), CAMERA, []).max_hz == 2.0
    assert narrowed(granted, SubscriptionOptions(0.5), CAMERA, []).max_hz == 0.5
    cameras = [record("gate", "entrance", "outside"), record("yard", "outside"), record("hall")]
    view = narrowed(granted, SubscriptionOptions(tags=["outside"]), WALL, cameras)
    assert view.exclude == frozenset({"secret", "hall"})
    assert view.redact == ("plates",)


def test_equal_wishes_are_one_view() -> None:
    made = [
        narrowed(DEFAULT, parse(b'{"projection":"boxes","max_hz":2}', CAMERA), CAMERA, [])
        for _ in range(2)
    ]
    assert len(set(made)) == 1


def test_projections_leave_out_and_hide_nothing_that_redaction_would_not() -> None:
    body = msgspec.json.encode(STATE)
    boxes = msgspec.json.decode(state(body, View(("plates",), projection="boxes")))
    assert boxes["tracks"] == [{"id": "t1", "label": "car", "score": 0.9, "box": [0, 0, 1, 1]}]
    assert (boxes["version"], "fps" in boxes) == (7, False)
    summary = msgspec.json.decode(state(body, View(projection="summary")))
    assert ("tracks" in summary, "place" in summary, summary["fps"]) == (False, False, 10.0)
    assert state(body, DEFAULT) is body
