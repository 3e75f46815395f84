"""The Centrifuge client protocol as values, and its JSON encoding (pure).

Authority: `definitions/client.proto` of centrifugal/protocol; JSON uses its field names, leaves
zero values out and embeds every `bytes` field as raw JSON. `hub.protocol.protobuf_codec` is the
second encoding of the same structs.

A text frame carries one or more messages, one per line. :class:`JsonCodec` turns a payload into
commands and results into payloads; the websocket frame around them is `hub.protocol.frames`'
business.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Protocol

import msgspec

from actors.core.errors import BadInput
from hub.protocol import frames
from hub.protocol.errors import ReplyError

MAX_COMMANDS = 512  # of one frame

Raw = msgspec.Raw
NOTHING = msgspec.Raw()  # an absent `bytes` field; left out when encoded
Id = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
Offset = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]  # msgspec bounds fit an int64


class StreamPosition(msgspec.Struct, omit_defaults=True):
    """A place in a stream."""

    offset: Offset = 0
    epoch: str = ""


class SubscribeRequest(msgspec.Struct, omit_defaults=True):
    """Subscribe, and in a connect's `subs` the recovery of a server-side subscription. `flag` 1:
    compaction, 2: reject unrecovered."""

    channel: str = ""
    token: str = ""
    recover: bool = False
    epoch: str = ""
    offset: Offset = 0
    data: Raw = NOTHING
    positioned: bool = False
    recoverable: bool = False
    join_leave: bool = False
    delta: str = ""
    flag: int = 0
    type: int = 0
    tf: Raw = NOTHING  # a filter by tags


class ConnectRequest(msgspec.Struct, omit_defaults=True):
    """The first command."""

    token: str = ""
    data: Raw = NOTHING
    subs: dict[str, SubscribeRequest] = {}
    name: str = ""
    version: str = ""
    headers: dict[str, str] = {}
    flag: int = 0


class ChannelRequest(msgspec.Struct, omit_defaults=True):
    """unsubscribe, presence, presence_stats."""

    channel: str = ""


class PublishRequest(msgspec.Struct, omit_defaults=True):
    """publish."""

    channel: str = ""
    data: Raw = NOTHING


class HistoryRequest(msgspec.Struct, omit_defaults=True):
    """history: `limit` 0 asks for the position only, a negative one for all there is."""

    channel: str = ""
    limit: Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)] = 0
    since: StreamPosition | None = None
    reverse: bool = False


class RpcRequest(msgspec.Struct, omit_defaults=True):
    """rpc."""

    data: Raw = NOTHING
    method: str = ""


class SendRequest(msgspec.Struct, omit_defaults=True):
    """send: a message without an answer."""

    data: Raw = NOTHING


class RefreshRequest(msgspec.Struct, omit_defaults=True):
    """refresh."""

    token: str = ""


class SubRefreshRequest(msgspec.Struct, omit_defaults=True):
    """sub_refresh."""

    channel: str = ""
    token: str = ""


class PingRequest(msgspec.Struct):
    """ping of a client (the server's pings are empty replies)."""


class Command(msgspec.Struct, omit_defaults=True):
    """What a client sends: an id and one request; nothing at all is a pong."""

    id: Id = 0
    connect: ConnectRequest | None = None
    subscribe: SubscribeRequest | None = None
    unsubscribe: ChannelRequest | None = None
    publish: PublishRequest | None = None
    presence: ChannelRequest | None = None
    presence_stats: ChannelRequest | None = None
    history: HistoryRequest | None = None
    ping: PingRequest | None = None
    send: SendRequest | None = None
    rpc: RpcRequest | None = None
    refresh: RefreshRequest | None = None
    sub_refresh: SubRefreshRequest | None = None

    @property
    def method(self) -> str | None:
        """The name of the request, None for a pong."""
        return next((name for name in METHODS if getattr(self, name) is not None), None)


METHODS = tuple(field.name for field in msgspec.structs.fields(Command) if field.name != "id")


class ClientInfo(msgspec.Struct, omit_defaults=True):
    """Who is behind a presence entry, a join or a publication."""

    # these two are there even where they are empty, as with Centrifugo: SDKs read them as they come
    user: str
    client: str
    conn_info: Raw = NOTHING
    chan_info: Raw = NOTHING


class Publication(msgspec.Struct, omit_defaults=True):
    """One message of a channel."""

    data: Raw = NOTHING
    info: ClientInfo | None = None
    offset: int = 0


class SubscribeResult(msgspec.Struct, omit_defaults=True):
    """The answer to subscribe."""

    expires: bool = False
    ttl: int = 0
    recoverable: bool = False
    epoch: str = ""
    publications: list[Publication] = []
    recovered: bool = False
    offset: int = 0
    positioned: bool = False
    data: Raw = NOTHING
    was_recovering: bool = False


class ConnectResult(msgspec.Struct, omit_defaults=True):
    """The answer to connect. `ttl` and `ping` are seconds."""

    client: str = ""
    version: str = ""
    expires: bool = False
    ttl: int = 0
    data: Raw = NOTHING
    subs: dict[str, SubscribeResult] = {}
    ping: int = 0
    pong: bool = False
    session: str = ""
    node: str = ""


class RefreshResult(msgspec.Struct, omit_defaults=True):
    """The answer to refresh."""

    client: str = ""
    version: str = ""
    expires: bool = False
    ttl: int = 0


class HistoryResult(msgspec.Struct):
    """The answer to history."""

    publications: list[Publication] = []
    epoch: str = ""
    offset: int = 0


class PresenceResult(msgspec.Struct):
    """The answer to presence: client → info."""

    presence: dict[str, ClientInfo] = {}


class PresenceStatsResult(msgspec.Struct):
    """The answer to presence_stats."""

    num_clients: int = 0
    num_users: int = 0


class InfoPush(msgspec.Struct):
    """The push of a join or a leave."""

    info: ClientInfo


class SubRefreshResult(msgspec.Struct, omit_defaults=True):
    """The answer to sub_refresh."""

    expires: bool = False
    ttl: int = 0


class Empty(msgspec.Struct):
    """An answer without content."""


class Unsubscribe(msgspec.Struct):
    """The push that ends a subscription. SDKs need both fields."""

    code: int
    reason: str


class Disconnect(msgspec.Struct):
    """The push that ends a connection where there is no close frame (HTTP transports)."""

    code: int
    reason: str


class EmulationRequest(msgspec.Struct):
    """Commands that come apart from the stream their answers go to. `data` is a JSON string where
    the rest is JSON."""

    node: str = ""
    session: str = ""
    data: Raw = NOTHING


class Codec(Protocol):
    """One encoding. All methods return the payload of one message; :meth:`frame` makes websocket
    frames of payloads."""

    name: str
    ping: bytes
    binary: bool  # data may be any bytes

    def decode(self, payload: bytes) -> list[Command]:
        """The commands of one frame. Raises :class:`BadInput`; nothing else, whatever the bytes
        are."""

    def emulated(self, body: bytes) -> EmulationRequest:
        """The commands of a client whose answers go another way; `data` holds them ready to decode.
        Raises BadInput."""

    def reply(self, command_id: int, method: str, result: Any) -> bytes:
        """The answer to a command; the result key is there even when the result is empty."""

    def error(self, command_id: int, error: ReplyError) -> bytes:
        """The refusal of a command."""

    def publication(
        self, channel: str, data: bytes, offset: int = 0, tags: dict[str, str] | None = None
    ) -> bytes:
        """A push of one publication; `data` is ready JSON and is not looked into."""

    def unsubscribe(self, channel: str, code: int, reason: str) -> bytes:
        """A push that ends a subscription."""

    def disconnect(self, code: int, reason: str) -> bytes:
        """A push that ends the connection, on transports without a close frame."""

    def push(
        self, channel: str, kind: Literal["pub", "join", "leave"], message: msgspec.Struct
    ) -> bytes:
        """A push of a whole :class:`Publication` or :class:`InfoPush`."""

    def frame(self, messages: Sequence[bytes]) -> bytes:
        """One websocket frame with `messages` in it."""


class JsonCodec:
    """The default encoding."""

    name = "json"
    ping = b"{}"
    binary = False

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(Command)
        self._encoder = msgspec.json.Encoder()

    def decode(self, payload: bytes) -> list[Command]:
        lines = payload.strip().split(b"\n")
        if len(lines) > MAX_COMMANDS:
            raise BadInput(f"more than {MAX_COMMANDS} commands in one frame")
        try:
            return [self._decoder.decode(line) for line in lines]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadInput(f"not a command of the Centrifuge protocol: {error}") from error

    def emulated(self, body: bytes) -> EmulationRequest:
        try:
            found = msgspec.json.decode(body, type=EmulationRequest)
            found.data = Raw(msgspec.json.decode(found.data, type=str).encode())
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise BadInput(f"not an emulation request: {error}") from error
        return found

    def reply(self, command_id: int, method: str, result: Any) -> bytes:
        return b'{"id":%d,"%s":%s}' % (command_id, method.encode(), self._encoder.encode(result))

    def error(self, command_id: int, error: ReplyError) -> bytes:
        return b'{"id":%d,"error":%s}' % (command_id, self._encoder.encode(error))

    def publication(
        self, channel: str, data: bytes, offset: int = 0, tags: dict[str, str] | None = None
    ) -> bytes:
        head = b'{"push":{"channel":%s,"pub":{"data":%s' % (self._encoder.encode(channel), data)
        if tags:
            head += b',"tags":%s' % self._encoder.encode(tags)
        return head + (b',"offset":%d}}}' % offset if offset else b"}}}")

    def unsubscribe(self, channel: str, code: int, reason: str) -> bytes:
        push = self._encoder.encode(Unsubscribe(code, reason))
        return b'{"push":{"channel":%s,"unsubscribe":%s}}' % (self._encoder.encode(channel), push)

    def disconnect(self, code: int, reason: str) -> bytes:
        return b'{"push":{"disconnect":%s}}' % self._encoder.encode(Disconnect(code, reason))

    def push(
        self, channel: str, kind: Literal["pub", "join", "leave"], message: msgspec.Struct
    ) -> bytes:
        return b'{"push":{"channel":%s,"%s":%s}}' % (
            self._encoder.encode(channel),
            kind.encode(),
            self._encoder.encode(message),
        )

    def frame(self, messages: Sequence[bytes]) -> bytes:
        return frames.frame(frames.TEXT, b"\n".join(messages))


JSON = JsonCodec()
