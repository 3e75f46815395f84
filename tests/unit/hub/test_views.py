"""Redaction: what a class hides, and that the default view is the bytes themselves."""

import msgspec
import pytest

from hub import views
from hub.views import DEFAULT, View, class_of

ALL = View(redact=("faces", "names", "plates"))


def state(**track: object) -> bytes:
    return msgspec.json.encode({"camera": "a", "occupancy": {"plate": 1}, "tracks": [{"id": "1", "label": "car", **track}]})


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("license_plate", "plates"), ("recognizedLicensePlate", "plates"), ("plate", "plates"), ("lpr.text", "plates"),
        ("face_id", "faces"),        ("personName", "names"), ("identity", "names"), ("sub_label", "names"), ("surface", None),
        ("colour", None),         ("nameplateless", None),
    ],
)  # fmt: skip
def test_the_words_of_a_key_tell_its_class(key: str, found: str | None) -> None:
    assert class_of(key, ALL.redact) == found
    assert class_of(key, ()) is None


def test_the_default_view_is_the_bytes_themselves() -> None:
    body = state(sub_label="KA 123", attributes={"plate": "KA 123"})
    assert views.state(body, DEFAULT) is body
    assert views.event(body, DEFAULT) is body
    plain = state(score=0.5)
    assert views.state(plain, ALL) is plain


def test_a_redacted_state_hides_values_and_says_so() -> None:
    body = state(sub_label="KA 123", attributes={"plate": "KA 123", "colour": "red"})
    shown = msgspec.json.decode(views.state(body, View(redact=("plates",))))
    assert shown["tracks"][0]["sub_label"] == {"redacted": "plates"}
    assert shown["tracks"][0]["attributes"] == {"plate": {"redacted": "plates"}, "colour": "red"}
    assert shown["occupancy"] == {"plate": 1}
    assert b"KA 123" not in views.state(body, ALL)


def test_a_redacted_event_hides_at_any_depth_of_its_data() -> None:
    body = msgspec.json.encode({"type": "alarm.plate", "label": "car", "zone": "face", "data": {"found": [{"plate": "KA 123", "n": 1}]}})
    shown = msgspec.json.decode(views.event(body, ALL))
    assert shown == {"type": "alarm.plate", "label": "car", "zone": "face", "data": {"found": [{"plate": {"redacted": "plates"}, "n": 1}]}}
    plain = msgspec.json.encode({"type": "x", "data": {"n": 1}})
    assert views.event(plain, ALL) is plain
