"""Signs HTTP requests of a device by its key of `eyrie keys device`, in the form of RFC 9421 that
the hubs ask for (docs/protocols.md)."""

import base64
import secrets
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms

from actors.core.errors import ConfigError

COVERED = (
    "@method",
    "@authority",
    "@path",
    "content-type",
)  # the digest of the body is added to them
NONCE_BYTES = 16
MAX_FILE_BYTES = 4096


class RequestKey(msgspec.Struct, frozen=True):
    """A device's key: `key` in base64 is the Ed25519 private key or the shared secret."""

    keyid: str
    algorithm: Literal["ed25519", "hmac-sha256"]
    key: str

    def __repr__(self) -> str:
        """Without the key: this may end in a log."""
        return f"RequestKey({self.keyid!r}, {self.algorithm!r})"


def read_key(path: Path) -> RequestKey:
    """The key in a file. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(MAX_FILE_BYTES), type=RequestKey)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the device key {path} cannot be read: {error}", hint="`eyrie keys device` makes one."
        ) from error


def signed(
    key: RequestKey, method: str, url: str, body: bytes, content_type: str = "application/json"
) -> dict[str, str]:
    """The headers to send with `body`: content type, digest and a signature made now. Sign again
    for every attempt, at most 300 s old."""
    message = SimpleNamespace(method=method, url=url, headers={"Content-Type": content_type})
    algorithm = algorithms.ED25519 if key.algorithm == "ed25519" else algorithms.HMAC_SHA256
    signer = HTTPMessageSigner(signature_algorithm=algorithm, key_resolver=_Resolver(key))
    signer.sign(
        message,
        key_id=key.keyid,
        nonce=secrets.token_urlsafe(NONCE_BYTES),
        label="eyrie",
        covered_component_ids=COVERED,
        body=body,
    )
    return dict(message.headers)


class _Resolver(HTTPSignatureKeyResolver):
    def __init__(self, key: RequestKey) -> None:
        self._key = key

    def resolve_private_key(self, key_id: str) -> Any:
        """The one key there is."""
        raw = base64.b64decode(self._key.key)
        return (
            Ed25519PrivateKey.from_private_bytes(raw) if self._key.algorithm == "ed25519" else raw
        )
