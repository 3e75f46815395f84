"""Origins of frames: order, parts, redeliveries and restarts."""

import contextlib
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.messages.observations import Observation
from actors.core.times import rfc3339, to_us
from edge.adapters.readings import RefusedInput
from edge.sources.axis import AxisFrames
from edge.sources.deepstream import DeepStreamFrames
from edge.sources.frames import FrameFormat, FrameMapping
from edge.sources.onvif.events import OnvifEvents
from edge.sources.receipts import Given, Memory, Outcome, Receipt

START_US = 1_790_000_000_000_000
SECOND = 1_000_000


def full(at_s: float, key: str = "1", sensor: str = "gate") -> bytes:
    """One object of DeepStream's full schema."""
    sides = {"topleftx": 10, "toplefty": 10, "bottomrightx": 50, "bottomrighty": 90}
    return msgspec.json.encode(
        {
            "@timestamp": rfc3339(START_US + round(at_s * SECOND)),
            "sensor": {"id": sensor},
            "object": {"id": key, "person": {"confidence": 0.5}, "bbox": sides},
        }
    )


class Origin:
    """A mapping that is talked to, with one memory over restarts."""

    def __init__(self, frame_format: FrameFormat | None = None) -> None:
        self.memory = Memory()
        self.format = frame_format or DeepStreamFrames((100, 100))
        self.mapping = FrameMapping(self.format, self.memory)

    def hear(self, payload: bytes, topic: str = "t", **more: Any) -> list[Observation]:
        return seen(self.mapping.receive(Receipt(topic, payload, START_US, **more)))

    def rest(self) -> list[Observation]:
        return seen(self.mapping.due(START_US + 60 * SECOND))

    def restart(self) -> None:
        kept = msgspec.msgpack.decode(msgspec.msgpack.encode(self.memory.kept))
        self.memory = Memory(kept)
        self.mapping = FrameMapping(self.format, self.memory)


def seen(outcomes: list[Outcome]) -> list[Observation]:
    return [one.observation for one in outcomes if isinstance(one, Given)]


def times(said: list[Observation]) -> list[float]:
    return [(to_us(one.time) - START_US) / SECOND for one in said]


def test_frames_are_put_in_order_and_parts_of_one_are_joined() -> None:
    origin = Origin()
    said = []
    for at, key in ((0.0, "1"), (1.0, "1"), (0.5, "1"), (1.0, "2"), (0.0, "2"), (3.0, "1")):
        said += origin.hear(full(at, key))
    assert times(said) == [0.0, 0.5, 1.0]
    assert [{one.id for one in frame.objects or []} for frame in said] == [
        {"1", "2"},
        {"1"},
        {"1", "2"},
    ]
    assert times(origin.rest()) == [3.0]
    assert origin.rest() == []


@settings(deadline=None, max_examples=30)
@given(st.lists(st.booleans(), min_size=40, max_size=40))
def test_a_restart_and_a_redelivery_between_any_two_change_nothing(restarts: list[bool]) -> None:
    payloads = [full(index / 5, key) for index in range(20) for key in "12"]
    plain, disturbed = Origin(), Origin()
    wanted, found = [], []
    for index, (payload, restart) in enumerate(zip(payloads, restarts, strict=True)):
        wanted += plain.hear(payload)
        found += disturbed.hear(payload)
        if restart:
            disturbed.restart()
            for again in payloads[max(index - 12, 0) : index + 1]:
                found += disturbed.hear(again, again=True)
    assert found + disturbed.rest() == wanted + plain.rest()


def test_what_waits_is_remembered_and_what_was_said_is_not() -> None:
    origin = Origin()
    for index in range(100):
        origin.hear(full(index / 10))
    assert 10 <= sum(key.startswith("wait/") for key in origin.memory.kept) <= 13
    origin.rest()
    assert not any(key.startswith("wait/") for key in origin.memory.kept)


def test_what_waits_is_there_after_a_restart() -> None:
    origin = Origin()
    origin.hear(full(0.0, "1"))
    origin.hear(full(0.0, "2"))
    origin.restart()
    (said,) = origin.rest()
    assert {one.id for one in said.objects or []} == {"1", "2"}


def test_what_is_too_late_is_counted() -> None:
    origin = Origin()
    for at in (0.0, 3.0, 6.0):
        origin.hear(full(at))
    origin.hear(full(1.0))
    origin.hear(full(9.0))
    origin.rest()
    assert origin.mapping.counts["late"] == 1


def frame(at_s: float, *objects: dict[str, Any], **more: Any) -> bytes:
    """One frame of an Axis camera."""
    moment = rfc3339(START_US + round(at_s * SECOND))
    return msgspec.json.encode({"observations": objects, "timestamp": moment, **more})


def axis_object(key: str, **more: Any) -> dict[str, Any]:
    box = {"left": 0.1, "top": 0.2, "right": 0.3, "bottom": 0.4}
    return {"track_id": key, "bounding_box": box, **more}


def test_axis_frames_of_both_forms() -> None:
    origin = Origin(AxisFrames())
    named = {"classes": [{"type": "Truck", "score": 0.6, "colors": [{"name": "blue"}]}]}
    inner = msgspec.json.decode(frame(0.0, axis_object("1", **{"class": {"type": "Human"}})))
    origin.hear(msgspec.json.encode({"frame": inner}), "axis/B8A4/axis.scene.frame_v1")
    origin.hear(frame(0.1, axis_object("2", **named), channel_id=1), "axis/B8A4/f")
    origin.hear(frame(0.2, axis_object("3"), channel_id=2), "axis/B8A4/f")
    said = origin.mapping.due(START_US + 60 * SECOND)
    found = [
        (one.source, seen.label, seen.id, seen.attributes)
        for one in said
        if isinstance(one, Given)
        for seen in one.observation.objects or []
    ]
    assert found == [
        ("B8A4", "human", "1", None),
        ("B8A4", "truck", "2", {"color": "blue"}),
        ("B8A4-2", "object", "3", None),
    ]


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[1]", b'{"observations": 1}', b'{"id": "track", "path": []}', b"[" * 200_000],
)
def test_axis_messages_that_are_no_frames(payload: bytes) -> None:
    with pytest.raises(RefusedInput):
        Origin(AxisFrames()).hear(payload, "axis/B8A4/f")


def said_by(origin: Origin, topic: str, payload: bytes, **more: Any) -> list[tuple[str, str]]:
    """Type and severity of the alarms."""
    found: list[Observation] = []
    with contextlib.suppress(RefusedInput):  # nothing new
        found = origin.hear(payload, topic, **more)
    return [(one.alarm.type, one.alarm.severity) for one in found if one.alarm is not None]


moments = count(START_US, SECOND)


def motion(on: bool) -> bytes:
    return msgspec.json.encode(
        {"UtcTime": rfc3339(next(moments)), "Source": {"Rule": "r"}, "Data": {"IsMotion": on}}
    )


def test_onvif_properties_tell_what_changed_once() -> None:
    memory = Memory()
    origin = Origin(OnvifEvents(memory))
    topic = "front/onvif-ej/RuleEngine/CellMotionDetector/Motion/&r"
    kind = "onvif.cell_motion_detector.motion"
    assert said_by(origin, topic, motion(False), retained=True) == []
    assert said_by(origin, topic, motion(True)) == [(kind, "notice")]
    assert said_by(origin, topic, motion(True), again=True) == []
    assert said_by(origin, topic, motion(False)) == [(kind, "info")]
    assert said_by(origin, topic, b"") == []
    assert said_by(origin, topic, motion(True), retained=True) == [(kind, "notice")]
    assert said_by(origin, topic, b"") == [(kind, "info")]
    assert said_by(origin, topic, motion(True)) == [(kind, "notice")]
    assert said_by(origin, topic, b"") == [(kind, "info")]
    assert said_by(origin, topic, b"", again=True) == []
