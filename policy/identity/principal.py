"""Who asks, as a token, key or certificate says it (pure)."""

from typing import Literal

import msgspec

TokenType = Literal["user", "edge", "service"]


class Principal(msgspec.Struct, frozen=True):
    """Who asks: the verified claims of a token. Times are whole seconds since 1970.

    `certificate`: the fingerprint of the one shown with it, or in its place.
    """

    sub: str
    jti: str
    typ: str
    iat: int
    exp: int
    roles: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    cameras: tuple[str, ...] | None = None
    scopes: tuple[str, ...] = ()
    certificate: str = ""
