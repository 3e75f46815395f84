"""`connectors.sinks.planning` and the envelope, by values alone."""

import json
from typing import Any

import msgspec
import pytest

from connectors.sinks.envelope import encoded, structured
from connectors.sinks.planning import Plan, SinkRuling, plan
from connectors.sinks.spec import Filter
from storage.ports.background.sinks import Cursor, DueCamera, SinkHole
from storage.ports.events import EventRow

YES = SinkRuling(True)


def row(offset: int, epoch: str = "e", **given: Any) -> EventRow:
    event = {
        "id": f"c1/{epoch}/{offset}",
        "type": "zone.entered",
        "v": 1,
        "site": "s",
        "camera": "c1",
        "epoch": epoch,
        "offset": offset,
        "session": "x",
        "seq": 1,
        "time": "2026-12-01T00:00:00Z",
        "received": "2026-12-01T00:00:01Z",
        "severity": "warning",
        "data": {},
        **given,
    }
    return EventRow("c1", epoch, offset, msgspec.json.encode(event), b"h", 5)


def due(cursor: Cursor, last: int = 9, epoch: str = "e") -> DueCamera:
    return DueCamera("c1", "s", (), cursor, epoch, last)


def ids(made: Plan) -> list[str | None]:
    return [None if step.message is None else step.message.id for step in made.steps]


def previous(made: Plan) -> list[str | None]:
    return [one.message.attributes.get("previous") for one in made.steps if one.message]


def test_each_message_names_the_one_before_whatever_is_left_out() -> None:
    rows = [row(5), row(6, type="line.crossed"), row(7), row(8)]
    at = Cursor("e", 4, "c1/e/2")
    made = plan(due(at), rows, Filter(types=("zone.*",)), YES)
    assert ids(made) == ["c1/e/5", None, "c1/e/7", "c1/e/8"]
    assert previous(made) == ["c1/e/2", "c1/e/5", "c1/e/7"]
    assert made.steps[1].after == Cursor("e", 6, "c1/e/5", 5)


def test_what_is_gone_is_told_as_a_hole() -> None:
    made = plan(due(Cursor("e", 4)), [row(7)], Filter(), YES)
    assert ids(made) == ["c1/e/6/lost", "c1/e/7"]
    assert [(one.first, one.last) for one in made.lost] == [(5, 6)]
    gone = plan(due(Cursor("e", 4)), [], Filter(), YES)
    assert (ids(gone), gone.steps[0].after.offset) == (["c1/e/9/lost"], 9)


def test_a_new_epoch_begins_at_one_and_a_new_sink_misses_nothing() -> None:
    assert ids(plan(due(Cursor("e", 4), epoch="f"), [row(1, "f")], Filter(), YES)) == ["c1/f/1"]
    assert ids(plan(due(Cursor()), [row(41)], Filter(), YES)) == ["c1/e/41"]
    quiet = plan(due(Cursor("e", 4), last=0, epoch="f"), [], Filter(), YES)
    assert (ids(quiet), quiet.lost) == ([None], ())


def test_a_skipped_event_is_told_once_and_then_in_silence() -> None:
    hole = SinkHole("c1", "e", 5, 5, "skipped", "broken")
    made = plan(due(Cursor("e", 4)), [row(5), row(6)], Filter(), YES, [hole])
    assert ids(made) == ["c1/e/5/skipped", "c1/e/6"]
    silent = msgspec.structs.replace(hole, silent=True)
    made = plan(due(Cursor("e", 4, "x")), [row(5), row(6)], Filter(), YES, [silent])
    assert (ids(made), previous(made)) == ([None, "c1/e/6"], ["x"])


def test_who_may_see_nothing_is_told_nothing_of_holes_neither() -> None:
    assert ids(plan(due(Cursor("e", 4)), [row(7)], Filter(), SinkRuling(False))) == [None, None]
    stranger = EventRow("c1", "e", 5, b"", b"", 0)
    assert ids(plan(due(Cursor("e", 4)), [stranger], Filter(), YES)) == [None]


def test_the_envelope_is_a_cloud_event() -> None:
    (step,) = plan(due(Cursor("e", 4, "c1/e/4")), [row(5)], Filter(), YES).steps
    assert step.message is not None
    told = json.loads(structured(step.message))
    assert told.pop("data")["id"] == "c1/e/5"
    assert told == {
        "specversion": "1.0",
        "id": "c1/e/5",
        "source": "/sites/s/cameras/c1",
        "type": "eyrie.zone.entered.v1",
        "subject": "c1",
        "time": "2026-12-01T00:00:00Z",
        "recordedtime": "2026-12-01T00:00:01Z",
        "datacontenttype": "application/json",
        "sequence": "0000000000000000005",
        "partitionkey": "c1",
        "severitytext": "WARN",
        "severitynumber": 13,
        "dataclassification": "restricted",
        "eyriesite": "s",
        "eyrieepoch": "e",
        "previous": "c1/e/4",
    }
    assert all(name.isalnum() and name.islower() for name in told)


@pytest.mark.parametrize(
    ("text", "header"),
    [("a b", "a%20b"), ('"%', "%22%25"), ("é", "%C3%A9"), ("a/b", "a/b"), ("\r\n", "%0D%0A")],
)
def test_headers_are_percent_encoded(text: str, header: str) -> None:
    assert encoded(text) == header
