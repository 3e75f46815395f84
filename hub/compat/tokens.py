"""Tokens as Centrifugo's public test suites make them: HS256, any secret, hardly a claim. For the
compatibility profile on loopback only.

Eyrie's own tokens are `policy.identity.tokens`' business and stay as strict as they are.
"""

import base64
import binascii
import hashlib
import hmac

import msgspec

from actors.core.errors import Expired, Unauthorized
from policy.identity.tokens import MAX_TOKEN_BYTES


class ServerSub(msgspec.Struct, frozen=True):
    """What a connection token says of one channel that the server subscribes to; both are JSON."""

    info: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()


class LooseClaims(msgspec.Struct, frozen=True):
    """`exp` in seconds since 1970, 0 for never. Only a subscription token carries a `channel`; its
    `info` (JSON) is of the subscription, else of the connection. The server subscribes to
    `channels` and `subs`."""

    sub: str = ""
    exp: float = 0.0
    channel: str = ""
    info: msgspec.Raw = msgspec.Raw()
    channels: list[str] = []
    subs: dict[str, ServerSub] = {}

    @property
    def given(self) -> dict[str, ServerSub]:
        """All channels that the server subscribes to."""
        return dict.fromkeys(self.channels, ServerSub()) | self.subs


class _Header(msgspec.Struct, frozen=True):
    alg: str


class LooseVerifier:
    """Verifies with one secret, which may be short."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def verify(self, token: str, now_s: float) -> LooseClaims:
        """The claims. Raises Unauthorized, or Expired; nothing else, whatever `token` is."""
        parts = token.split(".")
        if len(parts) != 3 or len(token) > MAX_TOKEN_BYTES:
            raise Unauthorized("the token is not genuine")
        try:
            header, payload, signature = (
                base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts
            )
            genuine = hmac.compare_digest(
                hmac.digest(self._secret, f"{parts[0]}.{parts[1]}".encode(), hashlib.sha256),
                signature,
            )
            if not genuine or msgspec.json.decode(header, type=_Header).alg != "HS256":
                raise Unauthorized("the token is not genuine")
            claims = msgspec.json.decode(payload, type=LooseClaims)
        except (binascii.Error, ValueError, msgspec.DecodeError) as error:
            raise Unauthorized("the token is not genuine") from error
        if claims.exp and now_s >= claims.exp:
            raise Expired("the token has expired")
        return claims
