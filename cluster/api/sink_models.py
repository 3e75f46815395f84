"""What the cluster API reads and answers about sinks; what it shows of them is
`connectors.sinks.management`'s."""

from typing import Annotated, Literal

import msgspec

from actors.core.identifiers import CameraId
from cluster.api.models import Input
from connectors.sinks.management import SinkStatus
from connectors.sinks.spec import Filter, Mode, SinkView
from storage.ports.background.sinks import SinkState

SinkName = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9-]{0,39}\Z")]
SinkReason = Annotated[
    str, msgspec.Meta(max_length=500, pattern=r"\A[^\x00-\x1f\x7f\ud800-\udfff]*\Z")
]
SkipReason = Annotated[
    str, msgspec.Meta(min_length=1, max_length=500, pattern=r"\A[^\x00-\x1f\x7f\ud800-\udfff]*\Z")
]
_OFFSET = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
_EPOCH = Annotated[str, msgspec.Meta(max_length=64, pattern=r"\A[A-Za-z0-9_-]*\Z")]
_PLAIN = r"\A[!-~]*\Z"


class WebhookAsked(Input, frozen=True, tag="webhook"):
    """An HTTP receiver. `scheme`: of its signatures; the secret is made here. `at_once`: requests
    in flight, one per camera."""

    url: Annotated[str, msgspec.Meta(max_length=2_000, pattern=_PLAIN)]
    mode: Mode = "structured"
    at_once: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    scheme: Literal["hmac", "ed25519"] = "hmac"


class JetstreamAsked(Input, frozen=True, tag="jetstream"):
    """A stream of the NATS of the settings (`nats.url`); another server is for the command line."""

    stream: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z")] = "EYRIE_EVENTS"


class NewSink(Input, frozen=True):
    """A sink of the events from now on, or also of those kept (`from_start`). Its `view` is whom
    policy is asked for; roles and scopes that its maker has not are refused."""

    name: SinkName
    to: WebhookAsked | JetstreamAsked
    view: SinkView
    filter: Filter = Filter()
    from_start: bool = False
    paused: bool = False


class SinkMade(msgspec.Struct, frozen=True, omit_defaults=True):
    """`verify_with`: what the receiver of a webhook verifies signatures with, shown this once."""

    name: str
    verify_with: str = ""


class SinkPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """By name."""

    sinks: list[SinkStatus]
    next: str | None = None


class SinkTested(msgspec.Struct, frozen=True):
    """What the receiver said of a message that tells nothing. `status` 0: no answer."""

    ok: bool
    status: int
    detail: str


class SinkWhy(Input, frozen=True):
    """Why; it is shown."""

    reason: SinkReason = ""


class SkipWhy(Input, frozen=True):
    """Why an event is passed over; its receiver is told."""

    reason: SkipReason


class NewReplay(Input, frozen=True, rename={"first": "from", "last": "to"}):
    """Offsets of a camera. Without `to`: up to where the sink is; without `epoch`: the present
    one."""

    first: _OFFSET
    last: _OFFSET | None = None
    epoch: _EPOCH = ""


class ReplayMade(msgspec.Struct, frozen=True, rename={"first": "from", "last": "to"}):
    """Goes out beside what is new."""

    replay: int
    camera: CameraId
    epoch: str
    first: int
    last: int


class Skipped(msgspec.Struct, frozen=True):
    """The event that is passed over."""

    camera: CameraId
    epoch: str
    offset: int


class Retried(msgspec.Struct, frozen=True):
    """Tried again now."""

    camera: CameraId


class RotateAsked(Input, frozen=True):
    """Of the fresh secret's signatures."""

    scheme: Literal["hmac", "ed25519"] = "hmac"


class SinkNow(msgspec.Struct, frozen=True):
    """As it is now."""

    name: str
    state: SinkState
