"""Redaction: what a class hides, and that the default view is the bytes themselves."""

import msgspec
import pytest

from hub.access import redaction
from hub.access.redaction import DEFAULT, View, class_of

ALL = View(redact=("faces", "names", "plates"))


def state(**track: object) -> bytes:
    return msgspec.json.encode(
        {"camera": "a", "occupancy": {"plate": 1}, "tracks": [{"id": "1", "label": "car", **track}]}
    )


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("license_plate", "plates"),
        ("recognizedLicensePlate", "plates"),
        ("plate", "plates"),
        ("lpr.text", "plates"),
        ("face_id", "faces"),
        ("personName", "names"),
        ("identity", "names"),
        ("sub_label", "names"),
        ("surface", "unknown"),
        ("licenseplate", "plates"),
        ("LICENSE_PLATE", "plates"),
        ("template", "unknown"),
        ("x" * 500 + ".plate", "plates"),
        ("colour", None),
        ("nameplateless", "unknown"),
    ],
)
def test_the_words_of_a_key_tell_its_class(key: str, found: str | None) -> None:
    assert class_of(key, ALL.redact) == found
    assert class_of(key, ()) is None


def test_the_default_view_is_the_bytes_themselves() -> None:
    body = state(sub_label="KA 123", attributes={"plate": "KA 123"})
    assert redaction.state(body, DEFAULT) is body
    assert redaction.event(body, DEFAULT.redact) is body
    plain = state(score=0.5)
    assert redaction.state(plain, ALL) is plain


def test_a_redacted_state_hides_values_and_says_so() -> None:
    body = state(sub_label="KA 123", attributes={"plate": "KA 123", "colour": "red"})
    shown = msgspec.json.decode(redaction.state(body, View(redact=("plates",))))
    assert shown["tracks"][0]["sub_label"] == {"redacted": "plates"}
    assert shown["tracks"][0]["attributes"] == {"plate": {"redacted": "plates"}, "colour": "red"}
    assert shown["occupancy"] == {"plate": 1}
    assert b"KA 123" not in redaction.state(body, ALL)


def test_a_redacted_event_hides_at_any_depth_of_its_data() -> None:
    body = msgspec.json.encode(
        {
            "type": "alarm.plate",
            "label": "car",
            "zone": "face",
            "data": {"found": [{"plate": "KA 123", "n": 1}]},
        }
    )
    shown = msgspec.json.decode(redaction.event(body, ALL.redact))
    assert shown == {
        "type": "alarm.plate",
        "label": "car",
        "zone": "face",
        "data": {"found": [{"plate": {"redacted": "plates"}, "n": 1}]},
    }
    plain = msgspec.json.encode({"type": "x", "data": {"n": 1}})
    assert redaction.event(plain, ALL.redact) is plain


def test_what_says_a_hidden_value_again_is_hidden_and_nothing_else() -> None:
    data = {
        "text": "KA 123 has left",
        "note": "all quiet",
        "colour": "red",
        "zones": ["ka-123!", 7],
        "plate": "KA 123",
        "short_name": "ab",
    }
    body = msgspec.json.encode(
        {"type": "alarm.seen", "label": "car", "zone": "KA123", "track": "about", "data": data}
    )
    shown = msgspec.json.decode(redaction.event(body, ALL.redact))
    assert shown["data"] == {
        "text": {"redacted": "unknown"},
        "unknown": {"redacted": "unknown"},
        "colour": "red",
        "zones": [{"redacted": "plates"}, 7],
        "plate": {"redacted": "plates"},
        "short_name": {"redacted": "names"},
    }
    assert (shown["label"], shown["zone"], shown["track"]) == (
        "car",
        {"redacted": "plates"},
        "about",
    ), "two letters are in everything"
    body = state(attributes={"plate": "KA 123", "remark": "it was KA 123"})
    assert b"KA 123" not in redaction.state(body, View(redact=("plates",)))


def test_unknown_means_hidden_and_its_name_too() -> None:
    for name in (
        "Kennzeichen",
        "immatriculation",
        "matricula",
        "fahrer",
        "conducteur",
        "badge",
        "KA 123",
    ):
        body = msgspec.json.encode(
            {"type": "alarm.seen", "data": {"data": {name: "KA 123", "speed": 3}}}
        )
        assert msgspec.json.decode(redaction.event(body, ("plates",)))["data"]["data"] == {
            "unknown": {"redacted": "unknown"},
            "speed": 3,
        }
        assert name.encode() not in redaction.state(state(attributes={name: "KA 123"}), ALL)


@pytest.mark.parametrize("said", ["ka 123", "KA-123", "it is ka123."])
@pytest.mark.parametrize("field", ["label", "track", "zone", "line", "session"])
def test_a_hidden_value_comes_out_of_no_other_field_of_its_event(field: str, said: str) -> None:
    body = msgspec.json.encode(
        {"type": "alarm.seen", field: said, "data": {"data": {"plate": "KA 123"}}}
    )
    assert msgspec.json.decode(redaction.event(body, ALL.redact))[field] == {"redacted": "plates"}


def test_a_hidden_value_is_neither_a_number_nor_a_type_nor_a_key() -> None:
    data = {"plate": "4711", "speed": 4711, "counts": {"4711": 1}, "personId": 815, "level": "815"}
    body = msgspec.json.encode({"type": "alarm.seen_4711", "data": {"data": data}})
    shown = redaction.event(body, ALL.redact)
    assert b"4711" not in shown
    assert b"815" not in shown
    assert msgspec.json.decode(shown)["type"] == "alarm.redacted"


def test_a_hidden_value_comes_out_of_no_other_field_of_its_state() -> None:
    track = {
        "id": "ka123",
        "label": "KA 123",
        "sub_label": "KA 123",
        "current_zones": ["ka-123"],
        "score": 0.5,
        "box": [0, 0, 1, 1],
    }
    body = msgspec.json.encode(
        {
            "camera": "a",
            "objects": {"KA 123": 1},
            "occupancy": {"yard": {"ka 123": 1}},
            "last_event": {"label": "KA-123"},
            "tracks": [track],
        }
    )
    for projection in ("full", "boxes", "summary"):
        shown = redaction.state(body, View(redact=("plates",), projection=projection))
        assert b"123" not in shown, projection


def test_a_redacting_view_hides_the_hash_of_every_event() -> None:
    body = msgspec.json.encode({"type": "x", "data": {"n": 1}, "hash": "ab"})
    assert msgspec.json.decode(redaction.event(body, ALL.redact))["hash"] == {"redacted": "faces"}
    assert redaction.event(body, DEFAULT.redact) is body


def test_what_is_too_deep_to_be_looked_through_is_hidden_whole() -> None:
    deep: object = "KA 123"
    for _ in range(100):
        deep = {"zones": [deep]}
    body = msgspec.json.encode({"type": "x", "data": {"zones": deep}})
    assert msgspec.json.decode(redaction.event(body, ALL.redact)) == {
        "type": "x",
        "data": {"redacted": "faces"},
    }


def test_a_forged_mark_of_an_erased_value_is_hidden() -> None:
    for forged in ({"erased": "KA 123"}, {"unavailable": "KA 123"}, {"erased": "plates", "n": 1}):
        body = msgspec.json.encode({"type": "alarm.lpr", "data": {"data": {"plate": forged}}})
        shown = msgspec.json.decode(redaction.event(body, ALL.redact))
        assert shown["data"]["data"]["plate"] == {"redacted": "plates"}


def test_a_mark_of_an_erased_value_is_shown_and_hides_nothing_else() -> None:
    data = {"data": {"plate": {"erased": "plates"}, "unknown": {"unavailable": "unknown"}}}
    event = {"type": "alarm.plates", "label": "unknown", "data": data, "v": 2}
    event["commitments"] = {"/data/data/plate": "plates:00", "/data/data/unknown": "unknown:00"}
    body = msgspec.json.encode(event)
    assert msgspec.json.decode(redaction.event(body, ALL.redact)) == event
