"""What a message is to a consumer that knows how far it is in the message's camera (pure).

Each message names the one before it of the same camera (`previous`), so a consumer that keeps the
last id it has dealt with sees for itself whether anything is missing, whatever filter and policy
left out.
"""

from collections.abc import Mapping
from typing import Literal
from urllib.parse import unquote

import msgspec

from consume.errors import NotOurs

SKIPPED, LOST = "eyrie.sink.skipped.v1", "eyrie.sink.lost.v1"

Verdict = Literal["next", "seen", "hole"]


class Message(msgspec.Struct, frozen=True):
    """A CloudEvent out of the stream. `place`: its number there. `previous`: the id of the message
    before it of this camera, empty for the first. `data`: JSON."""

    place: int
    id: str
    type: str
    site: str
    camera: str
    epoch: str
    offset: int
    previous: str
    attributes: dict[str, str]
    data: bytes

    @property
    def declared(self) -> bool:
        """It stands in the place of events that do not come: skipped by somebody, or lost."""
        return self.type in (SKIPPED, LOST)

    def event(self) -> dict[str, object]:
        """The event as Eyrie's REST API shows it."""
        return dict(msgspec.json.decode(self.data))


class Mark(msgspec.Struct, frozen=True):
    """The last message of a camera that was dealt with. Empty: none was."""

    id: str = ""
    epoch: str = ""
    offset: int = 0


class StreamHole(msgspec.Struct, frozen=True):
    """Messages of a camera are missing between `after` (the last one that was dealt with, empty:
    none was) and `before`. `declared`: Eyrie says so itself, and why (`reason`); else the stream
    does not hold them any more, or never did."""

    camera: str
    after: str
    before: str
    declared: bool
    reason: str


def read(place: int, headers: Mapping[str, str], data: bytes) -> Message:
    """Out of the headers (by lower-case names) and the body of a message. Raises NotOurs."""
    found = {
        name.removeprefix("ce-"): unquote(value)
        for name, value in headers.items()
        if name.startswith("ce-")
    }
    try:
        offset = int(found["sequence"])
        return Message(
            place,
            found["id"],
            found["type"],
            found["eyriesite"],
            found["subject"],
            found["eyrieepoch"],
            offset,
            found.get("previous", ""),
            found,
            data,
        )
    except (KeyError, ValueError) as error:
        raise NotOurs(f"message {place} of the stream is none of Eyrie's: {error}") from error


def judge(mark: Mark, message: Message) -> Verdict:
    """Whether it is the next of its camera, was dealt with already (sent again by a relay), or
    comes after something that is missing."""
    if message.id == mark.id:
        return "seen"
    if message.previous == mark.id:
        return "next"
    if mark.id and (message.epoch, message.offset) <= (mark.epoch, mark.offset):
        return "seen"
    return "hole"


def marked(message: Message) -> Mark:
    """Where the camera is when the message was dealt with."""
    return Mark(message.id, message.epoch, message.offset)


def hole_before(mark: Mark, message: Message) -> StreamHole:
    """What is missing before `message`."""
    return StreamHole(message.camera, mark.id, message.id, False, "the stream does not hold it")


def declared(mark: Mark, message: Message) -> StreamHole:
    """What `message` says that does not come."""
    said = message.event()
    reason = f"{said.get('first')}..{said.get('last')}: {said.get('reason', '')}"
    return StreamHole(message.camera, mark.id, message.id, True, reason[:500])
