"""Codes that hand over a token once. Pure.

Whoever has the code gets the token; what is kept until then is the token encrypted under the code
(AES-256-GCM), below a hash of it. So who reads that store gets neither, who writes to it makes no
token, and a hub hands over no more than was put there: it signs nothing.
"""

import hashlib
import os
import secrets

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from actors.core.errors import Unauthorized

CODE_BYTES = 32
CODE_PATTERN = r"\A[A-Za-z0-9_-]{43}\Z"
LIFE_S = 600  # seconds a code is good for
NONCE_BYTES = 12


class Offer(msgspec.Struct, frozen=True):
    """`code` is for whoever is to sign in; `name` and `sealed` are what is kept."""

    code: str
    name: str
    sealed: bytes

    def __repr__(self) -> str:
        """Without the code: this may end in a log."""
        return f"Offer({self.name!r})"


def offer(token: str) -> Offer:
    """A new code for `token`."""
    code, nonce = secrets.token_urlsafe(CODE_BYTES), os.urandom(NONCE_BYTES)
    name = name_of(code)
    return Offer(
        code, name, nonce + AESGCM(_key(code)).encrypt(nonce, token.encode(), name.encode())
    )


def name_of(code: str) -> str:
    """Below which name the token of a code is kept."""
    return hashlib.sha256(b"eyrie.sign-in.name\0" + code.encode()).hexdigest()


def opened(code: str, sealed: bytes) -> str:
    """The token. Raises Unauthorized for what was not sealed under this code."""
    try:
        return (
            AESGCM(_key(code))
            .decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], name_of(code).encode())
            .decode()
        )
    except (InvalidTag, ValueError) as error:
        raise Unauthorized(
            "what is kept for this code is not genuine", hint="Make another link: `eyrie sign-in`."
        ) from error


def _key(code: str) -> bytes:
    return hashlib.sha256(b"eyrie.sign-in.key\0" + code.encode()).digest()
