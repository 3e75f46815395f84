"""Whose word about an address or a certificate counts."""

import base64

import pytest

from actors.core.errors import ConfigError
from hub.access.client_address import CERTIFICATE, address, networks, settle

PROXIES = networks(["10.0.0.0/8", "2001:db8::5"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("192.0.2.1", ["198.51.100.9"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.9"], "198.51.100.9"),
        ("10.0.0.1", ["203.0.113.7, 198.51.100.9"], "198.51.100.9"),
        ("10.0.0.1", ["203.0.113.7", "198.51.100.9, 10.0.0.2"], "198.51.100.9"),
        ("10.0.0.1", ["198.51.100.9, forged, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
        ("::ffff:10.0.0.1", ["198.51.100.9"], "198.51.100.9"),
        ("2001:db8::5", ["2001:db8::77"], "2001:db8::77"),
        ("not an address", ["198.51.100.9"], "not an address"),
    ],
)
def test_check_73_the_last_hop_that_is_no_proxy_of_ours(
    peer: str, forwarded: list[str], found: str
) -> None:
    assert address(peer, forwarded, PROXIES) == found


def test_check_33_only_a_proxy_speaks_of_certificates_and_nobody_else_is_passed_on() -> None:
    shown = (b"client-cert", b":" + base64.b64encode(b"der") + b":")
    rest = [(b"host", b"hub")]

    def settled(
        client: str, *headers: tuple[bytes, bytes]
    ) -> tuple[bytes | None, list[tuple[bytes, bytes]]]:
        scope = {
            "headers": [*rest, *headers],
            "client": (client, 1),
            "state": {CERTIFICATE: b"of the connection"},
        }
        settle(scope, PROXIES)
        return scope["state"].get(CERTIFICATE), scope["headers"]  # type: ignore[attr-defined, return-value]

    assert settled("192.0.2.1", shown, (b"client-cert-chain", b"::")) == (
        b"of the connection",
        rest,
    )
    assert settled("10.0.0.1", shown) == (b"der", rest)
    assert settled("10.0.0.1") == (None, rest), "the proxy's own certificate is not the device's"
    assert settled("10.0.0.1", shown, shown) == (b"", rest), "two of them are none"
    assert settled("10.0.0.1", (b"client-cert", b"der")) == (b"", rest)


def test_a_proxy_is_named_by_its_address() -> None:
    with pytest.raises(ConfigError, match="trusted_proxies"):
        networks(["proxy.example"])
