"""What travels through Redis between the hubs for plain channels, packed with MessagePack (pure)."""

from typing import Literal

import msgspec

from hub.protocol import ClientInfo, Publication, Raw

ORDERS = "\0orders"  # the channel of orders; no client can name it (`hub.compatibility`)


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """One message of a channel: `data` is ready JSON on one line, `user` and `client` who it is about or from."""

    kind: Literal["pub", "join", "leave"]
    user: str = ""
    client: str = ""
    data: bytes = b""

    @property
    def info(self) -> ClientInfo | None:
        """Who is behind it, None for the server itself."""
        return ClientInfo(self.user, self.client) if self.client else None

    def publication(self, offset: int) -> Publication:
        """As a client gets it."""
        return Publication(data=Raw(self.data), info=self.info, offset=offset)


class Order(msgspec.Struct, frozen=True, array_like=True):
    """What every hub does to a user's connections (to one of them, where `client` is given): end its subscription to `channel`, or close it
    with `code` and `reason`."""

    kind: Literal["unsubscribe", "disconnect"]
    user: str
    client: str = ""
    channel: str = ""
    code: int = 0
    reason: str = ""


def opened(body: bytes) -> Envelope:
    """The envelope in `body`."""
    return msgspec.msgpack.decode(body, type=Envelope)


def order(body: bytes) -> Order:
    """The order in `body`."""
    return msgspec.msgpack.decode(body, type=Order)
