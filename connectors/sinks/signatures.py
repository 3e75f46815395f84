"""Signatures of Standard Webhooks 1.0.0 (spec/standard-webhooks.md): HMAC-SHA256 and ed25519.

Signed is ``id.timestamp.body``. Several secrets make several signatures in one header, which is how
they are rotated.
"""

import base64
import binascii
import hashlib
import hmac
import secrets as random_bytes
from collections.abc import Sequence
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actors.core.errors import BadInput

SYMMETRIC, PRIVATE, PUBLIC = "whsec_", "whsk_", "whpk_"
Scheme = Literal["hmac", "ed25519"]
MIN_BYTES, MAX_BYTES = 24, 64


def new_secret(scheme: Scheme) -> str:
    """A fresh one."""
    prefix = SYMMETRIC if scheme == "hmac" else PRIVATE
    return prefix + base64.b64encode(random_bytes.token_bytes(32)).decode()


def shareable(secret: str) -> str:
    """What its receiver needs to know: a symmetric one itself, else the public key."""
    if secret.startswith(SYMMETRIC):
        return secret
    public = Ed25519PrivateKey.from_private_bytes(_raw(secret)).public_key()
    return PUBLIC + base64.b64encode(public.public_bytes_raw()).decode()


def require_secret(secret: str) -> str:
    """Raises BadInput for what is none."""
    size = len(_raw(secret))
    if secret.startswith(PRIVATE) and size != 32:
        raise BadInput("an ed25519 key (whsk_) has 32 bytes")
    if not MIN_BYTES <= size <= MAX_BYTES:
        raise BadInput(f"a secret has {MIN_BYTES} to {MAX_BYTES} bytes")
    return secret


def message_id(event: str, sink: str) -> str:
    """The id of a message, stable over retries and replays. No dot may be in it: it separates what
    is signed."""
    return f"{event}@{sink}".replace("%", "%25").replace(".", "%2E")


def signed(secrets: Sequence[str], id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The headers of one attempt."""
    if "." in id:
        raise ValueError(f"a dot in the id {id!r} would make what is signed ambiguous")
    content = f"{id}.{timestamp_s}.".encode() + body
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(_signature(secret, content) for secret in secrets),
    }


def _signature(secret: str, content: bytes) -> str:
    if secret.startswith(PRIVATE):
        signature = Ed25519PrivateKey.from_private_bytes(_raw(secret)).sign(content)
        return "v1a," + base64.b64encode(signature).decode()
    digest = hmac.new(_raw(secret), content, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def _raw(secret: str) -> bytes:
    for prefix in (SYMMETRIC, PRIVATE):
        if secret.startswith(prefix):
            try:
                return base64.b64decode(secret.removeprefix(prefix), validate=True)
            except (binascii.Error, ValueError) as error:
                raise BadInput("a secret is base64 after its prefix") from error
    raise BadInput(f"a secret begins with {SYMMETRIC} or {PRIVATE}")
