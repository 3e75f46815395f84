"""Signed requests: the documented example holds to the letter, and what may not be is refused by
the hub's own clock and memory."""

import base64
import hashlib
import hmac
import re
from pathlib import Path

import msgspec
import pytest

from actors.core.errors import Unauthorized
from policy.identity import http_signatures
from policy.identity.device_keys import DeviceKey, DeviceKeys
from policy.identity.http_signatures import SignatureVerifier, claimed_key, is_signed

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "protocols.md").read_text("utf-8")
CREATED = 1_775_044_800
PATH = "/v1/cameras/gate-1/observations"


def section() -> str:
    return PAGE.partition("### Signed posts")[2].partition("\n## ")[0]


def example() -> tuple[list[tuple[bytes, bytes]], bytes]:
    head, _, rest = section().partition("HTTP/1.1\n")[2].partition("\n\n")
    headers = [
        (name.strip().lower().encode(), value.encode())
        for line in head.split("\n")
        for name, _, value in [line.partition(": ")]
    ]
    return headers, rest.partition("\n")[0].strip().encode()


@pytest.fixture
def verifier(tmp_path: Path) -> SignatureVerifier:
    found = re.search(r"secret `([^`]+)`", section())
    assert found is not None
    key = DeviceKey(
        "91ab02c4d5e6f708",
        "gate-box",
        "hmac-sha256",
        found[1],
        ("gate-1",),
        created=CREATED - 10,
        expires=CREATED + 200,
    )
    file = tmp_path / "devices.json"
    file.write_bytes(msgspec.json.encode({"keys": [key]}))
    file.chmod(0o600)
    return SignatureVerifier(
        DeviceKeys(str(file)), now_s=lambda: CREATED + 100.0, monotonic=lambda: 0.0
    )


def test_the_documented_example_holds(verifier: SignatureVerifier) -> None:
    headers, body = example()
    assert is_signed(headers)
    assert claimed_key(headers) == "91ab02c4d5e6f708"
    found = verifier.verify("POST", PATH, headers)
    found.require_body(body)
    assert (found.principal.sub, found.principal.cameras, found.principal.typ) == (
        "gate-box",
        ("gate-1",),
        "edge",
    )
    with pytest.raises(Unauthorized, match="body"):
        found.require_body(body + b" ")


def test_the_documented_text_is_what_was_signed() -> None:
    text = "\n".join(
        line.strip()
        for line in section().partition("none at the end:\n\n")[2].partition("\n\n")[0].split("\n")
    )
    secret = base64.b64decode(re.search(r"secret `([^`]+)`", section())[1])  # type: ignore[index]
    made = base64.b64encode(hmac.digest(secret, text.encode(), hashlib.sha256)).decode()
    assert f"Signature: eyrie=:{made}:" in section()


@pytest.mark.parametrize(
    ("now", "good"),
    [(CREATED - 300, True), (CREATED - 301, False), (CREATED + 199, True), (CREATED + 200, False)],
)
def test_check_31_times_are_the_hubs_own(verifier: SignatureVerifier, now: int, good: bool) -> None:
    verifier._now_s = lambda: float(now)
    headers, _ = example()
    if good:
        verifier.verify("POST", PATH, headers)
    else:
        with pytest.raises(Unauthorized):
            verifier.verify("POST", PATH, headers)


def test_check_31_one_request_is_taken_again_a_bounded_number_of_times(
    verifier: SignatureVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers, _ = example()
    for _ in range(http_signatures.MAX_RESENDS + 1):
        verifier.verify("POST", PATH, headers)
    with pytest.raises(Unauthorized, match="nonce"):
        verifier.verify("POST", PATH, headers)
    monkeypatch.setattr(http_signatures, "MAX_NONCES", 3)
    for number in range(10):
        verifier._once("k", f"a-nonce-{number}", b"s")
    assert list(verifier._nonces) == [("k", f"a-nonce-{number}") for number in (7, 8, 9)]


@pytest.mark.parametrize(
    "value",
    ["", "eyrie=()", 'eyrie=("@method");keyid="\n"', 'eyrie=();keyid="' + "x" * 200 + '"', "\xff"],
)
def test_a_key_id_that_cannot_be_read_is_nobodys(value: str) -> None:
    assert claimed_key([(b"signature-input", value.encode("latin-1"))]) == ""


@pytest.mark.parametrize("name", http_signatures.SINGLE)
def test_a_second_header_of_a_kind_that_is_signed_is_refused_even_where_it_says_the_same(
    verifier: SignatureVerifier, name: bytes
) -> None:
    """Whoever stands between may read the other one."""
    headers, _ = example()
    (value,) = [value for found, value in headers if found == name]
    with pytest.raises(Unauthorized, match="has one header"):
        verifier.verify("POST", PATH, [*headers, (name, value)])


@pytest.mark.parametrize("name", http_signatures.SINGLE)
def test_a_header_that_is_signed_must_be_there(verifier: SignatureVerifier, name: bytes) -> None:
    headers, _ = example()
    with pytest.raises(Unauthorized):
        verifier.verify("POST", PATH, [pair for pair in headers if pair[0] != name])
