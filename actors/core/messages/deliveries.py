"""What crosses between a hub and a camera actor: one Ray call carries many items, one reply many
answers.

A `link` names one camera stream on one edge socket: ``<hub>/<socket number>``. The actor answers to
links; the hub routes them.

`deliver(items) -> answers` is a long poll: the actor steps the items at once, then holds the call
until something is due to this hub (an ack after a commit, a resync, …), a newer call of the same
hub arrives, or `PARK_S` passes. So acks need no call of their own.
"""

import msgspec

from actors.core.messages.observations import Backlog

PARK_S = 2.0  # seconds a call may be held when nothing is due
MAX_CALL_BYTES = 98_304  # stays below Ray's 100 KiB inline limit


class Attach(msgspec.Struct, tag="attach", array_like=True, frozen=True):
    """A hello that passed policy."""

    camera: str
    link: str
    session: str
    next_seq: int
    received_us: int
    producer: str | None = None
    frame_size: tuple[int, int] | None = None


class Data(msgspec.Struct, tag="data", array_like=True, frozen=True):
    """Observations `first_seq` … as the edge encoded them (`format` is ``json`` or ``msgpack``).
    The actor decodes them and finds the bad ones."""

    camera: str
    link: str
    session: str
    first_seq: int
    received_us: int
    format: str
    items: list[bytes]
    sent_us: int | None = None
    backlog: Backlog | None = None


class DeclareGap(msgspec.Struct, tag="gap", array_like=True, frozen=True):
    """A gap that the edge declared."""

    camera: str
    link: str
    session: str
    first_seq: int
    last_seq: int
    reason: str
    received_us: int


class Alive(msgspec.Struct, tag="alive", array_like=True, frozen=True):
    """The edge of this link was heard."""

    camera: str
    link: str
    received_us: int


class Detach(msgspec.Struct, tag="detach", array_like=True, frozen=True):
    """The link is gone. `clean` when the edge said bye."""

    camera: str
    link: str
    received_us: int
    clean: bool
    reason: str


class Numbered(msgspec.Struct, tag="call", array_like=True, frozen=True):
    """The first entry of a call: its number, 1, 2, 3, …, among the calls of one queue of a hub.
    Calls to an actor keep no order."""

    queue: str
    number: int


Item = Attach | Data | DeclareGap | Alive | Detach


class Welcomed(msgspec.Struct, tag="welcomed", array_like=True, frozen=True):
    """The session is open (or resumed)."""

    camera: str
    link: str
    session: str
    resume_from: int
    credits: int


class Acked(msgspec.Struct, tag="acked", array_like=True, frozen=True):
    """Durable up to `seq`."""

    camera: str
    link: str
    seq: int
    credits: int


class AskedAgain(msgspec.Struct, tag="resync", array_like=True, frozen=True):
    """A hole: send again from `resume_from`."""

    camera: str
    link: str
    resume_from: int


class Refused(msgspec.Struct, tag="rejected", array_like=True, frozen=True):
    """One item went to the dead letters."""

    camera: str
    link: str
    seq: int
    code: str
    detail: str


class Dismissed(msgspec.Struct, tag="dismissed", array_like=True, frozen=True):
    """The link ends: superseded (4509), detached (1000), over credit (4008).

    4010: not the owner any more, or a link that has not said hello here; the hub looks the camera
    up again and attaches anew.
    """

    camera: str
    link: str
    code: int
    reason: str


Answer = Welcomed | Acked | AskedAgain | Refused | Dismissed

NOT_OWNER = 4010  # Dismissed.code: route again, say nothing to the edge but resync

encoder = msgspec.msgpack.Encoder()
answers_decoder = msgspec.msgpack.Decoder(list[Answer])
_calls = msgspec.msgpack.Decoder(list[Item | Numbered])


def open_call(payload: bytes) -> tuple[Numbered | None, list[Item]]:
    """What a call carries, with its number if it has one. Raises msgspec.MsgspecError."""
    entries = _calls.decode(payload)
    first = entries[0] if entries and isinstance(entries[0], Numbered) else None
    return first, [entry for entry in entries if not isinstance(entry, Numbered)]
