"""Tokens made by hand, for tests: genuine ones, and forgeries no library would make."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from actors.core.settings import AuthSettings
from policy.identity.keys import ensure_secret, read_secret

NOW = 1_800_000_000


def auth_settings(folder: Path) -> AuthSettings:
    """Settings of the embedded default, with its secret in `folder`."""
    path = folder / "hs256.secret"
    ensure_secret(path)
    return AuthSettings(hs256_secret_file=str(path))


def claims(**changes: Any) -> dict[str, Any]:
    """Good claims of a viewer at :data:`NOW`, changed; a change to ``...`` leaves the claim out."""
    made: dict[str, Any] = {
        "iss": "eyrie",
        "aud": "eyrie",
        "sub": "ada",
        "jti": "t-1",
        "iat": NOW - 10,
        "exp": NOW + 600,
        "typ": "user",
        "roles": ["viewer"],
        "sites": ["*"],
    }
    made.update(changes)
    return {name: value for name, value in made.items() if value is not ...}


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(payload: Any, secret: bytes, header: Any = None) -> str:
    """A token over any payload and header (bytes go in as they are), signed with HMAC-SHA256 and
    `secret`."""
    head = {"alg": "HS256", "typ": "JWT"} if header is None else header
    parts = [
        b64(part if isinstance(part, bytes) else json.dumps(part).encode())
        for part in (head, payload)
    ]
    signed = ".".join(parts)
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def secret_of(auth: AuthSettings) -> bytes:
    """The secret that `auth` names."""
    return read_secret(Path(auth.hs256_secret_file))
