"""How the handshake of a dashboard's socket may end (pure)."""

import msgspec


class Refusal(msgspec.Struct, frozen=True):
    """A handshake answered with an HTTP status instead of a socket."""

    status: int
    text: str
    headers: dict[str, str] = {}
