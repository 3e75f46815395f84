"""Where an actor process takes links (pure)."""

import msgspec


class LinkAddress(msgspec.Struct, frozen=True, kw_only=True):
    """`node`: Ray's id of its node, whose hubs use the Unix socket `path`. Those of other nodes use
    `host` and `port`; an empty host: none can."""

    node: str
    path: str
    host: str = ""
    port: int = 0
