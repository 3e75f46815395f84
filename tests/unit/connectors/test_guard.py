"""The guard beside an oracle that shares nothing with it: the special-purpose registries of IANA
(RFC 6890 and its updates, as of 2026), written out and compared bit by bit, without `ipaddress`."""

import random
import socket

import pytest

from actors.core.errors import ConfigError
from connectors.sinks import guard

SEED = 20_261_201
COUNT = 10_000

# "Globally reachable: False", and what is no unicast at all. Prefix and length.
SPECIAL_V4 = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
    *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
]
# Reachable by the registry, and still no place for a webhook: the guard may refuse them.
ODD_V4 = ["192.31.196.0/24", "192.52.193.0/24", "192.175.48.0/24"]
SPECIAL_V6 = [
    *("::/128", "::1/128", "::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64"),
    *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7"),
    *("fe80::/10", "fec0::/10", "ff00::/8"),
]
ODD_V6 = ["2620:4f:8000::/48"]
UNICAST_V6 = "2000::/3"  # nothing else is allocated
EMBEDDING = ("::ffff:0:0/96", "64:ff9b::/96")  # the last 32 bits are an IPv4 address


def bits(text: str) -> tuple[int, int]:
    """(value, width) of an address."""
    family, width = (socket.AF_INET6, 128) if ":" in text else (socket.AF_INET, 32)
    return int.from_bytes(socket.inet_pton(family, text), "big"), width


def inside(text: str, prefix: str) -> bool:
    (value, width), (network, size) = bits(text), bits(prefix.split("/")[0])
    length = int(prefix.split("/")[1])
    return width == size and value >> (width - length) == network >> (width - length)


def any_of(text: str, prefixes: list[str]) -> bool:
    return any(inside(text, prefix) for prefix in prefixes)


def oracle(text: str) -> str:
    """``public``, ``special``, or ``odd``: either answer will do."""
    if ":" not in text:
        if any_of(text, SPECIAL_V4):
            return "special"
        return "odd" if any_of(text, ODD_V4) else "public"
    if any(inside(text, prefix) for prefix in EMBEDDING):
        return oracle(
            socket.inet_ntop(socket.AF_INET, (bits(text)[0] & 0xFFFFFFFF).to_bytes(4, "big"))
        )
    if any_of(text, SPECIAL_V6) or not inside(text, UNICAST_V6):
        return "special"
    return "odd" if any_of(text, ODD_V6) else "public"


def drawn(dice: random.Random) -> str:
    """Half of them near a border or in a special range, in either family, also embedded."""
    prefix = dice.choice([*SPECIAL_V4, *ODD_V4, *SPECIAL_V6, *ODD_V6, *EMBEDDING, UNICAST_V6])
    base, width = bits(prefix.split("/")[0])
    length = int(prefix.split("/")[1])
    way = dice.randrange(4)
    if way == 0:
        value = dice.getrandbits(width)
    elif way == 1:
        value = base + dice.getrandbits(width - length) if width > length else base
    else:
        edge = base if way == 2 else base + (1 << (width - length))
        value = (edge + dice.choice([-2, -1, 0, 1])) % (1 << width)
    if width == 32 and dice.random() < 0.3:
        mapped = dice.choice([bits("::ffff:0:0")[0], bits("64:ff9b::")[0], bits("2002::")[0]])
        value, width = (
            (mapped | value, 128) if mapped >> 112 != 0x2002 else (mapped | value << 80, 128)
        )
    family = socket.AF_INET if width == 32 else socket.AF_INET6
    return socket.inet_ntop(family, value.to_bytes(width // 8, "big"))


def test_ten_thousand_addresses_beside_the_registries_of_iana() -> None:
    dice = random.Random(SEED)
    seen = {"public": 0, "special": 0, "odd": 0}
    for _ in range(COUNT):
        address = drawn(dice)
        expected = oracle(address)
        seen[expected] += 1
        refused = guard.refusal(address) is not None
        if expected != "odd":
            assert refused == (expected == "special"), f"{address} is {expected} (seed {SEED})"
    assert min(seen["public"], seen["special"]) > COUNT // 10, seen


@pytest.mark.parametrize(
    "address",
    [
        *("64:ff9b::7f00:1", "2002:7f00:1::", "224.0.0.1", "192.0.0.8", "::ffff:127.0.0.1"),
        *("169.254.169.254", "fd00:ec2::254", "fe80::1%eth0", "127.1", "localhost", ""),
    ],
)
def test_known_ways_around_are_refused(address: str) -> None:
    assert guard.refusal(address)


def test_an_operator_may_list_private_receivers() -> None:
    allowed = guard.networks(["10.2.0.0/16", "fd00::/8"])
    assert guard.refusal("10.2.3.4", allowed) is None
    assert guard.refusal("::ffff:10.2.3.4", allowed) is None
    assert guard.refusal("fd00::1", allowed) is None
    assert guard.refusal("10.3.0.1", allowed)
    with pytest.raises(ConfigError, match="private_receivers"):
        guard.networks(["10.2.0.1/16"])
