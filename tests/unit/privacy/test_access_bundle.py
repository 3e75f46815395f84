"""What is handed out to who asks what is known of them: their values, and nobody else's."""

from typing import Any

from actors.core.messages.commits import Position
from privacy.access_bundle import bundled
from storage.ports.events import EventRow
from tests.support.store_rows import RECEIVED_US, alarm_of

BEFORE = Position("s1", 0, "e1", 0, bytes(32))
BOTH = {"plate": "QX-1234", "name": "Ada Plantson", "lane": 2, "owner": {"name": "Bob Otherman"}}


def row_of(data: dict[str, Any], text: str | None = None) -> EventRow:
    alarm = alarm_of("gate", BEFORE, data, text=text)
    personal = tuple(alarm.personal)
    return EventRow("gate", "e1", 1, alarm.body, alarm.hash, RECEIVED_US, personal)


def test_own_values_stand_there_and_the_others_are_masked() -> None:
    found = bundled(row_of(BOTH), {"/data/data/plate", "/data/data/name"})
    assert found.event["data"]["data"] == {
        "plate": "QX-1234",
        "name": "Ada Plantson",
        "lane": 2,
        "unknown": {"redacted": "unknown"},
    }
    assert found.unreadable == []
    assert "hash" not in found.event
    assert "commitments" not in found.event


def test_a_text_that_names_somebody_else_is_masked_whole() -> None:
    row = row_of(BOTH, text="Ada Plantson gave Bob Otherman a lift in QX-1234")
    found = bundled(row, {"/data/text", "/data/data/plate", "/data/data/name"})
    assert found.event["data"]["text"] == {"redacted": "unknown"}
    assert "Otherman" not in str(found.event)
    alone = bundled(row_of({"plate": "QX-1234"}, text="QX-1234 left"), {"/data/text"})
    assert alone.event["data"] == {
        "text": {"redacted": "plates"},
        "data": {"plate": {"redacted": "plates"}},
    }, "and the plate is somebody else's where only the text was asked for"


def test_what_both_say_is_their_own() -> None:
    same = {"plate": "QX-1234", "tail_plate": "QX 1234"}
    found = bundled(row_of(same), {"/data/data/plate"})
    assert found.event["data"]["data"]["plate"] == "QX-1234"


def test_what_was_erased_since_is_told() -> None:
    row = row_of(BOTH)
    kept = tuple(value for value in row.personal if value.path != "/data/data/plate")
    without = EventRow("gate", "e1", 1, row.body, row.hash, RECEIVED_US, kept)
    found = bundled(without, {"/data/data/plate", "/data/data/name"})
    assert found.unreadable == ["/data/data/plate"]
    assert found.event["data"]["data"]["plate"] == {"erased": "plates"}
    assert found.event["data"]["data"]["name"] == "Ada Plantson"
