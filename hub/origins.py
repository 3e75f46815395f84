"""Which web pages may open a socket (pure). A browser tells its page's origin; anything that is no browser sends none."""

from collections.abc import Sequence

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


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
