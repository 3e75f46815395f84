"""What crosses between a hub and a camera actor, on their link: many items in a frame one way, many
answers the other.

A `link` here names one camera stream on one edge socket: ``<hub>/<socket number>``. The actor
answers to links; the hub routes them. Items of a camera arrive in the order they were sent, or not
at all from some point on: then the hub attaches anew.
"""

import msgspec

from actors.core.messages.observations import Backlog

MAX_BATCH_BYTES = 98_304  # of items in a frame, where they are more than one


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
items_decoder = msgspec.msgpack.Decoder(list[Item])
