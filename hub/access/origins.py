"""Which web pages may open a socket (pure). A browser tells its page's origin; anything that is no browser sends none."""

import re
from collections.abc import Sequence

from actors.core.errors import ConfigError

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

_ORIGIN = re.compile(r"\A[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?\Z")


def named(settings: Sequence[str]) -> frozenset[str]:
    """`hub.allowed_origins` as browsers send them. Raises ConfigError for what is no origin: ``*`` and ``null`` are those of any page."""
    found = [origin.lower() for origin in settings]
    for origin in found:
        if not _ORIGIN.match(origin):
            raise ConfigError(
                f"hub.allowed_origins: {origin[:80]!r} is no origin", hint="Write scheme, host and maybe a port: https://wall.example."
            )
    return frozenset(
        origin.removesuffix(":443") if origin.startswith("https:") else origin.removesuffix(":80") if origin.startswith("http:") else origin
        for origin in found
    )


def default_origins(host: str, port: int, *, tls: bool = False) -> frozenset[str]:
    """The origins of the console itself: the listener's own address, on loopback under each of its names."""
    scheme, usual = ("https", ":443") if tls else ("http", ":80")
    literal = f"[{host}]" if ":" in host else host
    names = LOOPBACK if literal in LOOPBACK else (literal,)
    return frozenset(f"{scheme}://{name}:{port}".removesuffix(usual) for name in names)


def allowed(origins: Sequence[str], known: frozenset[str]) -> bool:
    """Whether a request with these `Origin` headers may go on: scheme, host and port match exactly, ``null`` and a second header never."""
    if not origins:
        return True
    return len(origins) == 1 and origins[0].lower() in known
