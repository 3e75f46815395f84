"""Which addresses a webhook may go to: public ones, and those an operator has listed. Pure.

`ipaddress.is_global` alone lets through what leads elsewhere: NAT64 and 6to4 forms of private
addresses, multicast, 192.0.0.8. What carries another address is looked at by that one or refused.
"""

import ipaddress
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from actors.core.errors import ConfigError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are the address
_UNICAST = IPv6Network("2000::/3")  # all that is allocated as global unicast
_NEVER: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",  # RFC 6890, protocol assignments
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # RFC 7526, 6to4 relays
        "192.175.48.0/24",  # AS112
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarking
        "2001:db8::/32",
        "2002::/16",  # 6to4, deprecated
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # RFC 9637, documentation
    )
)


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """The operator's list. Raises ConfigError."""
    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as error:
        raise ConfigError(f"sinks.private_receivers: {error}") from error


def refusal(address: str, allowed: Sequence[Network] = ()) -> str | None:
    """Why nothing may be sent to `address` (numeric); None when it may."""
    try:
        found = _unwrapped(ipaddress.ip_address(address))
    except ValueError:
        return f"{address[:60]} is no address"
    if _listed(found, allowed):
        return None
    return None if _public(found) else f"{address} is not public"


def listed(address: str, allowed: Sequence[Network]) -> bool:
    """Whether the operator has listed it: plain http is good enough then."""
    try:
        return _listed(_unwrapped(ipaddress.ip_address(address)), allowed)
    except ValueError:
        return False


def _listed(address: Address, allowed: Sequence[Network]) -> bool:
    return any(address.version == net.version and address in net for net in allowed)


def _unwrapped(address: Address) -> Address:
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            raise ValueError("an address with a zone is of one link")
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _UNICAST:
        return False
    if address.is_multicast or address.is_reserved or not address.is_global:
        return False
    return not _listed(address, _NEVER)
