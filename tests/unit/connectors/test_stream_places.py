"""`connectors.sinks.stream_places`: what the end of a stream says of a cursor."""

from connectors.sinks import stream_places
from connectors.sinks.envelope import CloudEvent, envelope
from connectors.sinks.stream_places import StreamEnd, settled
from storage.ports.background.sinks import Cursor, DueCamera

BODY = (
    b'{"id":"c1/e/7","type":"zone.entered","v":1,"site":"s","camera":"c1","epoch":"e","offset":7,'
    b'"session":"x","seq":1,"time":"2026-12-01T00:00:00Z","received":"2026-12-01T00:00:00Z",'
    b'"severity":"warning","data":{}}'
)


def due(cursor: Cursor) -> DueCamera:
    return DueCamera("c1", "s", (), cursor, "e", 9, begin_epoch="e", begin_offset=2)


def end(offset: int, number: int) -> StreamEnd:
    return StreamEnd(number, f"c1/e/{offset}", "e", offset)


def test_what_had_arrived_moves_the_cursor_on() -> None:
    before = Cursor("e", 4, "c1/e/4", 99, place=40)
    assert settled(due(before), end(6, 42), 42) == Cursor("e", 6, "c1/e/6", 0, 42)


def test_a_cursor_beyond_what_was_withheld_stays() -> None:
    at = Cursor("e", 8, "c1/e/4", 99, place=40)
    assert settled(due(at), end(4, 40), 60) == at


def test_a_lost_tail_moves_it_back_and_a_deleted_message_does_not() -> None:
    at = Cursor("e", 8, "c1/e/8", 99, place=40)
    assert settled(due(at), end(5, 30), 35) == Cursor("e", 5, "c1/e/5", 0, 30)
    assert settled(due(at), end(5, 30), 60) == at


def test_a_broker_that_lost_all_begins_where_the_sink_began() -> None:
    at = Cursor("e", 8, "c1/e/8", 99, place=40)
    assert settled(due(at), None, 0) == Cursor("e", 2)
    assert settled(due(at), None, 60) == at  # dropped by age


def test_the_last_message_is_known_again_by_its_headers() -> None:
    message = envelope(BODY, "c1/e/6", redacted=True)
    headers = {k.lower(): v for k, v in stream_places.message_headers(message).items()}
    assert stream_places.end_of(12, headers) == StreamEnd(12, "c1/e/7", "e", 7)
    assert stream_places.end_of(12, {"nats-msg-id": "x"}) is None
    assert stream_places.subject_of("eyrie.v1", message) == "eyrie.v1.s.c1.zone-entered"
    alarm = CloudEvent({**message.attributes, "type": "eyrie.alarm.a b>.*.v1"}, b"")
    assert stream_places.subject_of("p", alarm) == "p.s.c1.alarm-a%20b%3E-%2A"
