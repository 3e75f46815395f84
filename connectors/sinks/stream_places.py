"""Where a camera's part of a stream ends, and what that says of a cursor (pure)."""

from urllib.parse import quote, unquote

import msgspec

from connectors.sinks.envelope import CloudEvent, headers
from storage.ports.background.sinks import Cursor, DueCamera

MAX_HEADERS = 32 * 1024  # bytes: names are bounded, so those of one message take far less


class StreamEnd(msgspec.Struct, frozen=True):
    """The last message of a camera in the stream: its number, its id, which event it is of."""

    number: int
    id: str
    epoch: str
    offset: int


def end_of(number: int, found: dict[str, str]) -> StreamEnd | None:
    """Out of the headers of a message; None where it is none of ours."""
    id, epoch = found.get("nats-msg-id"), found.get("ce-eyrieepoch")
    sequence = found.get("ce-sequence", "")
    if id is None or epoch is None or not sequence.isdigit():
        return None
    return StreamEnd(number, unquote(id), unquote(epoch), int(sequence))


def settled(due: DueCamera, end: StreamEnd | None, stream_last: int) -> Cursor:
    """Where the cursor belongs, by what the stream holds.

    A message beyond it: its publication had arrived, and nobody had noted it. A message before the
    one that was noted: the broker lost its tail, if it gives numbers below the noted one, or the
    message was deleted, and is not sent again.
    """
    cursor = due.cursor
    if end is None:
        if cursor.place > stream_last:
            return Cursor(due.begin_epoch, due.begin_offset)
        return cursor
    if (end.epoch, end.offset) > (cursor.epoch, cursor.offset):
        return Cursor(end.epoch, end.offset, end.id, 0, end.number)
    if end.id != cursor.sent and cursor.place > stream_last:
        return Cursor(end.epoch, end.offset, end.id, 0, end.number)
    return cursor


def subject_of(prefix: str, message: CloudEvent) -> str:
    """``<prefix>.<site>.<camera>.<type with dashes>``."""
    attributes = message.attributes
    kind = str(attributes["type"]).removeprefix("eyrie.").rsplit(".", 1)[0]
    token = quote(kind.replace(".", "-"), safe="-_").replace(".", "-") or "-"
    return f"{camera_subject(prefix, attributes['eyriesite'], attributes['subject'])}.{token}"


def camera_subject(prefix: str, site: str, camera: str) -> str:
    """What all subjects of a camera begin with."""
    return f"{prefix}.{site}.{camera}"


def message_headers(message: CloudEvent) -> dict[str, str]:
    """CloudEvents in binary mode, and the id by which the broker knows a message again."""
    found = headers(message)
    return {**found, "Nats-Msg-Id": found["ce-id"]}


def expecting(subject: str, number: int) -> dict[str, str]:
    """The message is taken only where the last one of the camera has this number; 0: none."""
    return {
        "Nats-Expected-Last-Subject-Sequence": str(number),
        "Nats-Expected-Last-Subject-Sequence-Subject": f"{subject}.>",
    }


def thin(message: CloudEvent, limit: int) -> CloudEvent:
    """`message`, without its data where it is larger than `limit` bytes: `dataref` says where to
    read it."""
    if len(message.data) + MAX_HEADERS <= limit:
        return message
    size = len(message.data) + sum(len(k) + len(v) + 4 for k, v in headers(message).items())
    if size + 1_024 <= limit:
        return message
    attributes = message.attributes
    epoch, before = attributes["eyrieepoch"], int(attributes["sequence"]) - 1
    camera = attributes["subject"]
    where = f"/v1/cameras/{camera}/events?epoch={epoch}&offset={before}&limit=1"
    return CloudEvent({**attributes, "dataref": where}, b"{}")
