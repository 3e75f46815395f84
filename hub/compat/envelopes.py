"""What travels through Redis between the hubs for plain channels, packed with MessagePack
(pure)."""

from typing import Literal

import msgspec

from actors.core.errors import BadInput
from hub.protocol.messages import NOTHING, ClientInfo, HistoryResult, Publication, Raw

ORDERS = "\0orders"  # the channel of orders; no client can name it (`hub.compat.profile`)


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """One message of a channel, from or about `user` and `client`. `data` is JSON on one line
    unless it is `binary`: then no JSON client can have it. `said` and `place`: what tokens say, as
    in :class:`Member`."""

    kind: Literal["pub", "join", "leave"]
    user: str = ""
    client: str = ""
    data: bytes = b""
    binary: bool = False
    said: bytes = b""
    place: bytes = b""

    @property
    def info(self) -> ClientInfo | None:
        """Who is behind it, None for the server itself."""
        return (
            ClientInfo(self.user, self.client, _json(self.said), _json(self.place))
            if self.client
            else None
        )

    def publication(self, offset: int) -> Publication:
        """As a client gets it."""
        return Publication(data=Raw(self.data), info=self.info, offset=offset)


class Member(msgspec.Struct):
    """A connection as the channels see it: its user, and what tokens `said` of it and of its
    `places`, by channel (JSON on one line). `given`: the channels that the server subscribed it
    to."""

    user: str = ""
    said: bytes = b""
    places: dict[str, bytes] = {}
    given: frozenset[str] = frozenset()

    def present(self, channel: str) -> bytes:
        """How it is kept among those on `channel`."""
        return msgspec.msgpack.encode((self.user, self.said, self.places.get(channel, b"")))

    def envelope(
        self,
        kind: Literal["pub", "join", "leave"],
        client: str,
        channel: str,
        data: bytes = b"",
        *,
        binary: bool = False,
    ) -> Envelope:
        """What it does on `channel`."""
        return Envelope(
            kind, self.user, client, data, binary, self.said, self.places.get(channel, b"")
        )


def found(client: str, kept: bytes) -> ClientInfo:
    """Who is kept as :meth:`Member.present` did."""
    user, said, place = msgspec.msgpack.decode(kept, type=tuple[str, bytes, bytes])
    return ClientInfo(user, client, _json(said), _json(place))


def _json(data: bytes) -> Raw:
    """As a field that is left out where it is empty."""
    return Raw(data) if data else NOTHING


def on_one_line(data: bytes) -> bytes:
    """JSON without newlines, which part messages. Raises msgspec.DecodeError."""
    dense = msgspec.json.format(data, indent=-1)
    return dense if b"\n" in data or b"\r" in data else data


class HistoryPage(msgspec.Struct, frozen=True):
    """A page of a channel's history, and where its end is."""

    epoch: str
    top: int
    offsets: list[int]
    envelopes: list[Envelope]

    def result(self) -> HistoryResult:
        """As a client gets it."""
        pairs = zip(self.envelopes, self.offsets, strict=True)
        return HistoryResult(
            [envelope.publication(offset) for envelope, offset in pairs], self.epoch, self.top
        )


class ConnectionOrder(msgspec.Struct, frozen=True, array_like=True):
    """What every hub does to a user's connections (to one of them, where `client` is given): end
    its subscription to `channel`, or close it with `code` and `reason`."""

    kind: Literal["unsubscribe", "disconnect"]
    user: str
    client: str = ""
    channel: str = ""
    code: int = 0
    reason: str = ""


def publication_of(
    member: Member, client: str, channel: str, data: bytes, *, may_be_binary: bool
) -> Envelope:
    """What a client publishes. Raises BadInput for what is not JSON, where it must be."""
    try:
        return member.envelope("pub", client, channel, on_one_line(data))
    except msgspec.DecodeError as error:
        if may_be_binary:
            return member.envelope("pub", client, channel, data, binary=True)
        raise BadInput("data is not JSON") from error


def opened(body: bytes) -> Envelope:
    """The envelope in `body`."""
    return msgspec.msgpack.decode(body, type=Envelope)


def order(body: bytes) -> ConnectionOrder:
    """The order in `body`."""
    return msgspec.msgpack.decode(body, type=ConnectionOrder)
