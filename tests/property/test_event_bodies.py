"""Event body version 2: what is personal leaves the body whole, comes back whole, and the chain
holds with it, without it and after it was erased."""

import hashlib
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.attribute_classes import CLASSES, OPEN, Classes
from actors.core.messages.events import (
    CHAIN_START,
    Event,
    StoredEvent,
    published,
    seal,
    seal_open,
)
from actors.core.messages.personal import Sealing, comparable, genuine
from actors.core.redaction import HARMLESS

SEALING = Sealing(bytes(range(32)))
NAMES = st.one_of(
    st.sampled_from(["plate", "plate B", "plates", "plates_", "face", "faces", "sub_label"]),
    st.sampled_from(["owner", "unknown", "color", "speed", "data", "text", "erased", "note"]),
    st.sampled_from(["B-AB 123", "a/b", "~", ""]),
)
SCALARS = st.one_of(
    st.sampled_from(["B-AB 123", "bab123", "red", "Jane Doe", "jane", "", "plates", "7"]),
    st.integers(-5, 200),
    st.booleans(),
    st.none(),
    st.floats(0, 1, allow_nan=False),
)
LISTS = st.lists(SCALARS, max_size=2)
INNER = st.dictionaries(NAMES, st.one_of(SCALARS, LISTS), max_size=3)
VALUES = st.one_of(SCALARS, LISTS, INNER, st.lists(INNER, max_size=2))
DATA = st.dictionaries(NAMES, VALUES, max_size=4)
FIELDS = st.sampled_from([None, "car", "jane", "BAB123", "red"])
ASSIGNED = st.dictionaries(
    st.sampled_from(["owner", "color", "data.owner", "note", "plates", "unknown", "text"]),
    st.sampled_from([OPEN, *CLASSES]),
    max_size=3,
)


def event_of(
    data: dict[str, Any], *, label: str | None, track: str | None, kind: str = "alarm.seen"
) -> Event:
    """An event that an edge brought."""
    return Event(
        id="cam/e/1",
        type=kind,
        site="north",
        camera="cam",
        epoch="e",
        offset=1,
        session="s",
        seq=1,
        time="2026-01-01T00:00:00.000000Z",
        received="2026-01-01T00:00:00.000000Z",
        severity="warning",
        label=label,
        track=track,
        data=data,
    )


def sealed(event: Event, classes: Classes, previous: bytes = CHAIN_START) -> StoredEvent:
    """As a commit takes it."""
    sealing = Sealing(SEALING.entropy, classes)
    return seal_open(event, previous, sealing, received_us=1, time_us=1)


def shown(stored: StoredEvent, *, whole: bool = True) -> dict[str, Any]:
    """As who may see everything gets it."""
    text = published(stored.body, stored.hash, stored.personal if whole else ())
    found: dict[str, Any] = msgspec.json.decode(text)
    return found


@settings(max_examples=80, deadline=None)
@given(DATA, FIELDS, FIELDS, ASSIGNED)
def test_what_is_taken_out_comes_back_in_its_place(
    data: dict[str, Any], label: str | None, track: str | None, assigned: dict[str, str]
) -> None:
    event = event_of({"data": data}, label=label, track=track)
    stored = sealed(event, Classes(assigned=assigned))
    plain = seal(event, CHAIN_START, received_us=1, time_us=1)
    before: dict[str, Any] = msgspec.json.decode(published(plain.body, plain.hash))
    after = shown(stored)
    if not stored.personal:
        assert (stored.body, stored.hash) == (plain.body, plain.hash)
        return
    assert after.pop("v") == 2
    assert after.pop("commitments").keys() == {one.path for one in stored.personal}
    before.pop("v")
    assert before.pop("hash") != after.pop("hash")
    assert after == before


@settings(max_examples=50, deadline=None)
@given(DATA, FIELDS, FIELDS)
def test_nothing_personal_is_left_in_the_open_part(
    data: dict[str, Any], label: str | None, track: str | None
) -> None:
    stored = sealed(event_of({"data": data}, label=label, track=track), Classes())
    left = msgspec.json.decode(stored.body)["data"]["data"]
    for name, value in named(left):
        assert name in HARMLESS or value is None or is_erased(value), (name, value)


def named(value: Any) -> list[tuple[str, Any]]:
    """Every pair below, but those in the place of something else."""
    if isinstance(value, list):
        return [pair for child in value for pair in named(child)]
    if not isinstance(value, dict) or is_erased(value):
        return []
    return [
        pair
        for name, child in value.items()
        for pair in ([] if isinstance(child, dict) and not is_erased(child) else [(name, child)])
        + named(child)
    ]


def is_erased(value: Any) -> bool:
    """Whether it stands for something that was taken out."""
    return isinstance(value, dict) and value.keys() == {"erased"} and value["erased"] in CLASSES


@settings(max_examples=50, deadline=None)
@given(DATA, st.sets(st.integers(0, 9)))
def test_erased_is_what_has_no_value_and_the_rest_stays(
    data: dict[str, Any], gone: set[int]
) -> None:
    stored = sealed(event_of({"data": data}, label="car", track=None), Classes())
    kept = [one for n, one in enumerate(stored.personal) if n not in gone]
    told = msgspec.json.decode(published(stored.body, stored.hash, kept))
    for one in stored.personal:
        if one.path.count("/") > 3:
            continue  # it may lie in a part that is gone
        at: Any = told
        for part in one.path.split("/")[1:-1]:
            at = at[part.replace("~1", "/").replace("~0", "~")]
        last = one.path.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
        if one in kept:
            assert at.items() >= msgspec.json.decode(one.value).items()
        else:
            assert at[last] == {"erased": one.class_}


@settings(max_examples=30, deadline=None)
@given(st.lists(DATA, min_size=1, max_size=5))
def test_one_chain_of_both_versions_verifies_over_the_open_parts(
    found: list[dict[str, Any]],
) -> None:
    chain = CHAIN_START
    for data in found:
        stored = sealed(event_of({"data": data}, label="car", track=None), Classes(), chain)
        assert stored.hash == hashlib.sha256(chain + stored.body).digest()
        assert seal(stored.event, chain, received_us=1, time_us=1).body == stored.body
        chain = stored.hash


def plate_event(plate: str) -> StoredEvent:
    """An alarm with a plate, which its text repeats."""
    data = {"text": f"car {plate} at the gate", "data": {"plate": plate, "lane": 2}}
    return sealed(event_of(data, label="car", track="7"), Classes())


def test_an_erased_event_says_what_was_erased() -> None:
    found = shown(plate_event("B-AB 123"), whole=False)
    assert found["data"] == {
        "text": {"erased": "text"},
        "data": {"plate": {"erased": "plates"}, "lane": 2},
    }
    assert b"AB" not in plate_event("B-AB 123").body


def test_a_forged_value_stays_out() -> None:
    stored, other = plate_event("B-AB 123"), plate_event("M-XY 999")
    forged = msgspec.structs.replace(stored, personal=other.personal)
    assert shown(forged)["data"] == shown(stored, whole=False)["data"]
    commitments = msgspec.json.decode(stored.body)["commitments"]
    for right, wrong in zip(stored.personal, other.personal, strict=True):
        assert genuine(right, commitments)
        assert not genuine(wrong, commitments)
        assert not genuine(msgspec.structs.replace(right, class_="faces"), commitments)
        assert not genuine(msgspec.structs.replace(right, salt=bytes(16)), commitments)


def test_salts_differ_by_place_event_and_commit() -> None:
    other = Sealing(bytes(range(1, 33)))
    salts = {
        sealing.salt(event, path)
        for sealing in (SEALING, other)
        for event in ("a", "ab")
        for path in ("/b", "b/b", "/c")
    }
    assert len(salts) == 12
    assert {len(salt) for salt in salts} == {16}


def test_the_type_of_an_alarm_goes_only_where_it_names_somebody() -> None:
    for data, kind, kept in (
        ({"rule": "intrusion"}, "alarm.intrusion", True),
        ({"plate": "ab123"}, "alarm.ab123", False),
        ({"kennzeichen": "ab123"}, "alarm.ab123", False),
        ({"name": "jane"}, "alarm.jane_seen", False),
    ):
        stored = sealed(event_of(data, label=None, track=None, kind=kind), Classes())
        assert (stored.event.type == kind) is kept
        assert shown(stored)["type"] == kind


def test_what_is_too_deep_goes_whole() -> None:
    deep: Any = "B-AB 123"
    for _ in range(60):
        deep = [deep]
    event = event_of({"data": {"color": deep}}, label="B-AB 123", track="t1", kind="alarm.door")
    stored = sealed(event, Classes())
    assert msgspec.json.decode(stored.body)["data"] == {"unknown": {"erased": "unknown"}}
    assert b"B-AB 123" not in stored.body, "nothing says what its label repeats, so it goes too"
    assert (stored.event.label, stored.event.track) == (None, None)
    seen = shown(stored)
    assert (seen["data"], seen["label"]) == ({"data": {"color": deep}}, "B-AB 123")


def test_what_says_it_again_goes_with_it() -> None:
    data = {
        "data": {
            "plate": "B-AB 123",
            "model": "bab123",
            "status": ["gate", "seen B AB 123"],
            "zone": {"B-AB-123": 1, "lane": 2},
            "speed": 50,
        }
    }
    event = event_of(data, label="BAB123", track="car b-ab-123")
    stored = sealed(event, Classes())
    assert shown(stored, whole=False)["data"]["data"] == {
        "plate": {"erased": "plates"},
        "model": {"erased": "plates"},
        "status": ["gate", {"erased": "plates"}],
        "zone": {"lane": 2, "unknown": {"erased": "unknown"}},
        "speed": 50,
    }
    assert (stored.event.label, stored.event.track) == (None, None)
    assert shown(stored, whole=False)["label"] == {"erased": "plates"}
    again = shown(stored)
    assert (again["data"], again["label"], again["track"]) == (data, "BAB123", "car b-ab-123")


@settings(max_examples=40, deadline=None)
@given(DATA, FIELDS, FIELDS)
def test_both_versions_of_one_event_compare_as_equal(
    data: dict[str, Any], label: str | None, track: str | None
) -> None:
    event = event_of({"data": data}, label=label, track=track)
    plain = comparable(msgspec.json.decode(seal(event, CHAIN_START, received_us=1, time_us=1).body))
    apart = comparable(msgspec.json.decode(sealed(event, Classes()).body))
    names = ("type", "label", "track", "data", "seq", "time")
    assert [plain.get(name) for name in names] == [apart.get(name) for name in names]
