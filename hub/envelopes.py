"""What travels through Redis between the hubs for plain channels, packed with MessagePack (pure)."""

from typing import Literal

import msgspec

from actors.core.errors import BadInput
from hub.protocol import ClientInfo, HistoryResult, Publication, Raw

ORDERS = "\0orders"  # the channel of orders; no client can name it (`hub.compatibility`)


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """One message of a channel, from or about `user` and `client`. `data` is JSON on one line unless it is `binary`: then no JSON client
    can have it."""

    kind: Literal["pub", "join", "leave"]
    user: str = ""
    client: str = ""
    data: bytes = b""
    binary: bool = False

    @property
    def info(self) -> ClientInfo | None:
        """Who is behind it, None for the server itself."""
        return ClientInfo(self.user, self.client) if self.client else None

    def publication(self, offset: int) -> Publication:
        """As a client gets it."""
        return Publication(data=Raw(self.data), info=self.info, offset=offset)


class Page(msgspec.Struct, frozen=True):
    """A page of a channel's history, and where its end is."""

    epoch: str
    top: int
    offsets: list[int]
    envelopes: list[Envelope]

    def result(self) -> HistoryResult:
        """As a client gets it."""
        pairs = zip(self.envelopes, self.offsets, strict=True)
        return HistoryResult([envelope.publication(offset) for envelope, offset in pairs], self.epoch, self.top)


class Order(msgspec.Struct, frozen=True, array_like=True):
    """What every hub does to a user's connections (to one of them, where `client` is given): end its subscription to `channel`, or close it
    with `code` and `reason`."""

    kind: Literal["unsubscribe", "disconnect"]
    user: str
    client: str = ""
    channel: str = ""
    code: int = 0
    reason: str = ""


def publication_of(user: str, client: str, data: bytes, *, may_be_binary: bool) -> Envelope:
    """What a client publishes. Raises BadInput for what is not JSON, where it must be."""
    try:
        dense = msgspec.json.format(data, indent=-1)
    except msgspec.DecodeError as error:
        if may_be_binary:
            return Envelope("pub", user, client, data, binary=True)
        raise BadInput("data is not JSON") from error
    return Envelope("pub", user, client, dense if b"\n" in data or b"\r" in data else data)  # JSON messages are parted by newlines


def opened(body: bytes) -> Envelope:
    """The envelope in `body`."""
    return msgspec.msgpack.decode(body, type=Envelope)


def order(body: bytes) -> Order:
    """The order in `body`."""
    return msgspec.msgpack.decode(body, type=Order)
