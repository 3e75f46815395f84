"""Which names a server answers to (pure). A page whose own name was made to lead to this machine
(DNS rebinding) shows by `Host` where it thinks it is; links, caches and the `@authority` of a
signed request rest on it too.
"""

import ipaddress
import re
from collections.abc import Sequence

from actors.core.errors import ConfigError
from hub.access.client_address import LOOPBACK

HOST = re.compile(rb"\A([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?\Z")
_NAME = re.compile(r"\A(?:\*\.)?(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\Z")
_EVERYWHERE = ("", "0.0.0.0", "[::]")
MALFORMED = "The Host header is malformed.\n"


class Hosts:
    """The names of one server: those of loopback, what it listens on, the address a connection came
    to, and those that settings name."""

    def __init__(self, listens_on: str, named: Sequence[str] = ()) -> None:
        """`named`: ``hub.allowed_hosts``, names or addresses without a port; ``*.example.org`` is
        every name below it.

        Raises ConfigError for what is neither.
        """
        wanted = [_named(name) for name in named]
        self._known = {
            *LOOPBACK,
            *(name for name in wanted if name[:1] != "*"),
            _literal(listens_on),
        } - set(_EVERYWHERE)
        self._below = tuple(name[1:] for name in wanted if name[:1] == "*")

    def problem(self, found: Sequence[bytes], local: str) -> tuple[int, str] | None:
        """Status and text for a request with these `Host` headers on a connection to the address
        `local`; None: it may go on.

        A request of HTTP/1.0 has none, and may (no browser sends it). 421: RFC 9110, 15.5.20.
        """
        if not found:
            return None
        matched = HOST.match(found[0]) if len(found) == 1 else None
        if matched is None:
            return 400, MALFORMED
        name = _literal(matched[1].decode("ascii").lower())
        if name in self._known or name == _literal(local) or name.endswith(self._below):
            return None
        return (
            421,
            f"This server does not go by the name {name}; add it to hub.allowed_hosts "
            "(EYRIE_HUB_ALLOWED_HOSTS).\n",
        )


def _named(text: str) -> str:
    name = _literal(text.lower())
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        if not _NAME.match(name):
            raise ConfigError(
                f"hub.allowed_hosts: {text[:80]!r} is no name and no address",
                hint="Write names without scheme and port: eyrie.example, 10.0.0.5, *.example.org.",
            ) from None
    return name


def _literal(host: str) -> str:
    """As `Host` writes it: an IPv6 address in brackets, in its shortest form; one that carries an
    IPv4 address as that."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped) if address.ipv4_mapped is not None else f"[{address}]"
    return str(address)
