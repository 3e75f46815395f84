"""Requests that a device signs instead of showing a token: HTTP message signatures (RFC 9421),
Ed25519 or HMAC-SHA-256, over method, authority, path, content type and the digest of the body (RFC
9530), made at a time within :data:`WINDOW_S` of ours and with a nonce.

A nonce is good for one request: the same one again, signed the same, is a resend (whose answer was
lost) and changes nothing, since observations are numbered by (session, seq); so each hub remembers
its own nonces and need not ask the others.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms
from http_message_signatures.exceptions import HTTPMessageSignaturesException

from actors.core.errors import Unauthorized
from policy.identity.device_keys import NEVER_S, DeviceKey, DeviceKeys, public_key
from policy.identity.principal import Principal

WINDOW_S = 300
# of a hub; the oldest are forgotten first, and their requests are then as old as the window soon
MAX_NONCES = 50_000
MAX_RESENDS = 16  # of one signed request
MAX_NONCE = 128  # characters
COVERED = ("@method", "@authority", "@path", "content-type", "content-digest")
SINGLE = (
    b"host",
    b"signature",
    b"signature-input",
    b"content-digest",
    b"content-type",
)  # headers that a signed request has once
ALGORITHMS = {"ed25519": algorithms.ED25519, "hmac-sha256": algorithms.HMAC_SHA256}
NOT_GOOD = (
    "the signature is not good"  # one answer for bad form, unknown key and bad signature alike
)

Headers = Sequence[tuple[bytes, bytes]]


class Signed:
    """A request whose signature held; its body is still to be compared."""

    def __init__(self, principal: Principal, check: Callable[[bytes], object]) -> None:
        self.principal = principal
        self._check = check

    def require_body(self, body: bytes) -> None:
        """Raise Unauthorized for another body than the one that was signed."""
        try:
            self._check(body)
        except HTTPMessageSignaturesException as error:
            raise Unauthorized(
                "the body is not the one that was signed (content-digest)"
            ) from error


class SignatureVerifier:
    """One hub's. `now_s` is the wall clock in seconds, `monotonic` the other one."""

    def __init__(
        self,
        keys: DeviceKeys,
        now_s: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._now_s = now_s
        self._monotonic = monotonic
        self._nonces: OrderedDict[tuple[str, str], tuple[bytes, int]] = OrderedDict()

    def verify(self, method: str, path: str, headers: Headers) -> Signed:
        """Who signed this request for this method and path (as sent, without the query). Raises
        Unauthorized."""
        message = _message(method, path, headers)
        resolver = _Resolver(self._keys, self._monotonic())
        verifier = _Verifier(
            signature_algorithm=_algorithm(resolver, message), key_resolver=resolver
        )
        try:
            (result,) = verifier.verify(message, max_age=None, require_components=COVERED)
        except (HTTPMessageSignaturesException, ValueError) as error:
            raise Unauthorized(NOT_GOOD) from error
        key, now = resolver.found, self._now_s()
        if key is None:
            raise Unauthorized(NOT_GOOD)
        created, expires = (
            result.parameters.get("created"),
            result.parameters.get("expires", NEVER_S),
        )
        if (
            not isinstance(created, int)
            or abs(now - created) > WINDOW_S
            or not isinstance(expires, int)
            or now >= expires
        ):
            raise Unauthorized(
                f"the request was signed more than {WINDOW_S} s from now; compare the clocks, "
                "and sign it again"
            )
        if now >= key.expires:
            raise Unauthorized("the key of the signature has expired")
        self._once(key.keyid, result.parameters.get("nonce"), message.headers["signature"].encode())
        return Signed(key.principal(), lambda body: verifier.verify_body(message, [result], body))

    def _once(self, keyid: str, nonce: object, signature: bytes) -> None:
        if not isinstance(nonce, str) or not 8 <= len(nonce) <= MAX_NONCE:
            raise Unauthorized(f"a signature needs a nonce of 8 to {MAX_NONCE} characters")
        before, times = self._nonces.get((keyid, nonce), (signature, 0))
        if before != signature or times > MAX_RESENDS:
            raise Unauthorized(
                "the nonce was used already; sign the request again with a fresh one"
            )
        self._nonces[keyid, nonce] = (signature, times + 1)
        if len(self._nonces) > MAX_NONCES:
            self._nonces.popitem(last=False)


class _Verifier(HTTPMessageVerifier):
    def validate_created_and_expires(self, sig_input: object, max_age: object = None) -> None:
        """Times are checked above, by the hub's clock and after the signature held."""


class _Resolver(HTTPSignatureKeyResolver):
    """Remembers the key that was asked for."""

    def __init__(self, keys: DeviceKeys, now: float) -> None:
        self._keys = keys
        self._now = now
        self.found: DeviceKey | None = None

    def resolve_public_key(self, key_id: str) -> Any:
        self.found = self._keys.find(key_id, self._now)
        return None if self.found is None else public_key(self.found)


def is_signed(headers: Headers) -> bool:
    """Whether the request says that it is signed."""
    return any(name == b"signature-input" for name, _ in headers)


def claimed_key(headers: Headers) -> str:
    """The key id that a request names, good or not; empty where it cannot be read. For counting
    failures, never for access."""
    value = next((value for name, value in headers if name == b"signature-input"), b"").decode(
        "latin-1"
    )
    keyid = value.partition('keyid="')[2].partition('"')[0]
    return keyid if keyid and len(keyid) <= 128 and keyid.isascii() and keyid.isprintable() else ""


def _message(method: str, path: str, headers: Headers) -> SimpleNamespace:
    for name in SINGLE:
        if sum(found == name for found, _ in headers) != 1:
            raise Unauthorized(f"a signed request has one header {name.decode()}")
    signed = {
        name.decode("latin-1"): value.decode("latin-1") for name, value in headers if name in SINGLE
    }
    # The authority is what the client named (RFC 9421, 2.2.3), which `hub.access.host_names` has
    # let in; a client leaves a scheme's usual port out.
    return SimpleNamespace(method=method, url=f"https://{signed.pop('host')}{path}", headers=signed)


def _algorithm(resolver: _Resolver, message: SimpleNamespace) -> Any:
    """The one algorithm of the key that is named; the request does not choose."""
    resolver.resolve_public_key(
        claimed_key([(b"signature-input", message.headers["signature-input"].encode("latin-1"))])
    )
    return ALGORITHMS["ed25519" if resolver.found is None else resolver.found.algorithm]
