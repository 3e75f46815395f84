"""Who is at the other end (pure): its address and its certificate, by the connection itself or,
where settings name the proxy that made it, by what that proxy says (X-Forwarded-For; Client-Cert,
RFC 9440). What anybody else says of itself in those headers counts nothing and goes no further.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import MutableMapping, Sequence
from typing import Any

from actors.core.errors import ConfigError

# where a request finds the certificate (DER) its peer has shown, in the `state` of its scope
CERTIFICATE = "eyrie.certificate"
FORWARDED = b"x-forwarded-for"
CLIENT_CERT = b"client-cert"
CLAIMS = (CLIENT_CERT, b"client-cert-chain", FORWARDED)
MAX_HOPS = 16

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Headers = Sequence[tuple[bytes, bytes]]


def networks(proxies: Sequence[str]) -> tuple[Network, ...]:
    """`hub.trusted_proxies` parsed. Raises ConfigError."""
    try:
        return tuple(ipaddress.ip_network(proxy) for proxy in proxies)
    except ValueError as error:
        raise ConfigError(
            f"hub.trusted_proxies: {error}",
            hint="Name addresses or networks, like 10.0.0.5 or 10.0.0.0/24.",
        ) from error


def trusted(address: str, proxies: Sequence[Network]) -> bool:
    """Whether `address` is one of our proxies."""
    if not proxies:
        return False
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return any((mapped or found) in network for network in proxies)


def address(peer: str, forwarded: Sequence[str], proxies: Sequence[Network]) -> str:
    """The address of whoever our proxies took the request from: the last hop of X-Forwarded-For
    that is none of them."""
    found = peer
    if not trusted(peer, proxies):
        return found
    hops = [hop.strip() for value in forwarded for hop in value.split(",")]
    for hop in hops[: -MAX_HOPS - 1 : -1]:
        try:
            found = str(ipaddress.ip_address(hop))
        except ValueError:
            return found  # what lies beyond it was said by nobody we trust
        if not trusted(found, proxies):
            return found
    return found


def settle(scope: MutableMapping[str, Any], proxies: Sequence[Network]) -> None:
    """Put the true address and certificate into an ASGI scope, and take the headers out that claim
    them."""
    headers: Headers = scope["headers"]
    claims = [(name, value) for name, value in headers if name in CLAIMS]
    client = scope.get("client")
    if client is not None and trusted(client[0], proxies):
        forwarded = [value.decode("latin-1") for name, value in claims if name == FORWARDED]
        scope["client"] = (address(client[0], forwarded, proxies), client[1])
        scope["state"].pop(CERTIFICATE, None)  # the proxy's own
        shown = [value for name, value in claims if name == CLIENT_CERT]
        if shown:
            scope["state"][CERTIFICATE] = _bytes(shown[0]) if len(shown) == 1 else b""
    if claims:
        scope["headers"] = [(name, value) for name, value in headers if name not in CLAIMS]


def _bytes(value: bytes) -> bytes:
    """A byte sequence (RFC 9651, 3.3.5); what is none becomes empty, which no certificate is."""
    text = value.strip()
    if len(text) < 2 or not (text.startswith(b":") and text.endswith(b":")):
        return b""
    try:
        return base64.b64decode(text[1:-1], validate=True)
    except binascii.Error:
        return b""


LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


_ORIGIN = re.compile(
    r"\A[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?\Z"
)


def named(settings: Sequence[str]) -> frozenset[str]:
    """`hub.allowed_origins` as browsers send them. Raises ConfigError for what is no origin: ``*``
    and ``null`` are those of any page."""
    found = [origin.lower() for origin in settings]
    for origin in found:
        if not _ORIGIN.match(origin):
            raise ConfigError(
                f"hub.allowed_origins: {origin[:80]!r} is no origin",
                hint="Write scheme, host and maybe a port: https://wall.example.",
            )
    return frozenset(
        origin.removesuffix(":443")
        if origin.startswith("https:")
        else origin.removesuffix(":80")
        if origin.startswith("http:")
        else origin
        for origin in found
    )


def default_origins(host: str, port: int, *, tls: bool = False) -> frozenset[str]:
    """The origins of the console itself: the listener's own address, on loopback under each of its
    names."""
    scheme, usual = ("https", ":443") if tls else ("http", ":80")
    literal = f"[{host}]" if ":" in host else host
    names = LOOPBACK if literal in LOOPBACK else (literal,)
    return frozenset(f"{scheme}://{name}:{port}".removesuffix(usual) for name in names)


def allowed(origins: Sequence[str], known: frozenset[str]) -> bool:
    """Whether a request with these `Origin` headers may go on: scheme, host and port match exactly,
    ``null`` and a second header never."""
    if not origins:
        return True
    return len(origins) == 1 and origins[0].lower() in known
