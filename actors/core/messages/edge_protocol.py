"""Messages of ``/v1/edge`` (design section 8): msgspec tagged unions, the tag in ``type``.

Subprotocols ``eyrie.edge.v1+msgpack`` and ``eyrie.edge.v1+json``; one message per websocket frame.
The hub decodes ``observe`` with its observations raw (:class:`ObserveRaw`), so that one bad item
harms no neighbour.
"""

from datetime import datetime
from typing import Annotated

import msgspec

from actors.core.identifiers import CameraId, Label, Seq, SessionId
from actors.core.messages.observations import Backlog, Observation

MSGPACK_TYPES = ("application/msgpack", "application/x-msgpack", "application/vnd.msgpack")


SUBPROTOCOL_MSGPACK = "eyrie.edge.v1+msgpack"
SUBPROTOCOL_JSON = "eyrie.edge.v1+json"
HEARTBEAT_S = 4.0  # seconds between pings of either side
MAX_MESSAGE_BYTES = 65_536  # one edge message
MAX_OBSERVATIONS = 256  # observations in one `observe`

Reason = Annotated[str, msgspec.Meta(max_length=120)]
Size = Annotated[int, msgspec.Meta(ge=1, le=65_536)]
SentTime = Annotated[
    datetime,
    msgspec.Meta(tz=True, description="the edge's clock at publishing, RFC 3339 with offset"),
]


class Hello(msgspec.Struct, tag_field="type", tag="hello", omit_defaults=True):
    """Opens (or resumes) a session of a camera. `next_seq` is what the edge would send next."""

    camera: CameraId
    session: SessionId
    next_seq: Seq = 1
    producer: Label | None = None
    frame_size: tuple[Size, Size] | None = None
    token: Annotated[str, msgspec.Meta(max_length=8192)] | None = None


class Observe(msgspec.Struct, tag_field="type", tag="observe", omit_defaults=True):
    """Observations `first_seq`, `first_seq + 1`, …; `sent` is the edge's clock when it published
    them, `backlog` what it holds then."""

    camera: CameraId
    first_seq: Seq
    observations: Annotated[
        list[Observation], msgspec.Meta(min_length=1, max_length=MAX_OBSERVATIONS)
    ]
    sent: SentTime | None = None
    backlog: Backlog | None = None


class ObserveRaw(msgspec.Struct, tag_field="type", tag="observe", omit_defaults=True):
    """:class:`Observe` as the hub reads it: each observation left encoded."""

    camera: CameraId
    first_seq: Seq
    observations: Annotated[
        list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=MAX_OBSERVATIONS)
    ]
    sent: SentTime | None = None
    backlog: Backlog | None = None


class Gap(msgspec.Struct, tag_field="type", tag="gap", omit_defaults=True):
    """What the edge had to drop: takes the place of these seqs and becomes a `stream.gap` event."""

    camera: CameraId
    first_seq: Seq
    last_seq: Seq
    reason: Reason


class Ping(msgspec.Struct, tag_field="type", tag="ping"):
    """Either way, every `heartbeat_s`."""


class Pong(msgspec.Struct, tag_field="type", tag="pong"):
    """The answer to a ping."""


class Bye(msgspec.Struct, tag_field="type", tag="bye", omit_defaults=True):
    """Ends one camera's stream on this socket (or, without camera, the whole socket)."""

    code: int
    reason: Reason = ""
    camera: CameraId | None = None


class Welcome(msgspec.Struct, tag_field="type", tag="welcome"):
    """The answer to a hello: send from `resume_from`; everything before it is durable."""

    camera: CameraId
    session: SessionId
    resume_from: int
    credits: int
    heartbeat_s: float
    server_time: datetime


class Ack(msgspec.Struct, tag_field="type", tag="ack"):
    """All up to `seq` is durable; the edge may send up to `seq + credits`."""

    camera: CameraId
    seq: int
    credits: int


class Resync(msgspec.Struct, tag_field="type", tag="resync"):
    """A hole was seen: send again from `resume_from`."""

    camera: CameraId
    resume_from: int


class Reject(msgspec.Struct, tag_field="type", tag="reject"):
    """This item is in the dead-letter table; do not resend it."""

    camera: CameraId
    seq: int
    code: str
    detail: str


FromEdge = Hello | ObserveRaw | Gap | Ping | Pong | Bye
ToEdge = Welcome | Ack | Resync | Reject | Ping | Pong | Bye
EdgeSends = Hello | Observe | Gap | Ping | Pong | Bye


class Post(msgspec.Struct):
    """The body: observations `first_seq`, `first_seq + 1`, … of `session`; `sent` is the device's
    clock, `backlog` what it holds then."""

    session: SessionId
    first_seq: Seq
    observations: Annotated[
        list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=MAX_OBSERVATIONS)
    ]
    sent: SentTime | None = None
    backlog: Backlog | None = None
