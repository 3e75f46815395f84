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
        ("licenseplate", "plates"), ("LICENSE_PLATE", "plates"), ("template", None), ("x" * 500 + ".plate", "plates"),
        ("colour", None),         ("nameplateless", None),
    ],
)  # fmt: skip
def test_the_words_of_a_key_tell_its_class(key: str, found: str | None) -> None:
    assert class_of(key, ALL.redact) == found
    assert class_of(key, ()) is None


def test_the_default_view_is_the_bytes_themselves() -> None:
    body = state(sub_label="KA 123", attributes={"plate": "KA 123"})
    assert views.state(body, DEFAULT) is body
    assert views.event(body, DEFAULT.redact) is body
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
    shown = msgspec.json.decode(views.event(body, ALL.redact))
    assert shown == {"type": "alarm.plate", "label": "car", "zone": "face", "data": {"found": [{"plate": {"redacted": "plates"}, "n": 1}]}}
    plain = msgspec.json.encode({"type": "x", "data": {"n": 1}})
    assert views.event(plain, ALL.redact) is plain


def test_what_says_a_hidden_value_again_is_hidden_and_nothing_else() -> None:
    data = {"text": "KA 123 has left", "note": "all quiet", "more": ["KA 123!", 7], "plate": "KA 123", "short_name": "ab", "about": "about"}
    shown = msgspec.json.decode(views.event(msgspec.json.encode({"label": "car", "data": data}), ALL.redact))["data"]
    assert (shown["text"], shown["note"], shown["more"]) == ({"redacted": "plates"}, "all quiet", [{"redacted": "plates"}, 7])
    assert (shown["short_name"], shown["about"]) == ({"redacted": "names"}, "about"), "two letters are in everything"
    body = state(attributes={"plate": "KA 123", "remark": "it was KA 123"})
    assert b"KA 123" not in views.state(body, View(redact=("plates",)))


def test_a_redacting_view_hides_the_hash_of_every_event() -> None:
    body = msgspec.json.encode({"type": "x", "data": {"n": 1}, "hash": "ab"})
    assert msgspec.json.decode(views.event(body, ALL.redact))["hash"] == {"redacted": "faces"}
    assert views.event(body, DEFAULT.redact) is body


def test_what_is_too_deep_to_be_looked_through_is_hidden_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_deep(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(views, "_hide_deep", too_deep)
    body = msgspec.json.encode({"type": "x", "data": {"plate": "KA 123"}})
    assert msgspec.json.decode(views.event(body, ALL.redact)) == {"type": "x", "data": {"redacted": "faces"}}
