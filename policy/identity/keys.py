"""Key material from files: the HS256 secret of the embedded default, and JWKS files of an identity
provider.

Files are the only way a secret enters (never argv, environment values, or Ray arguments). Nothing
here verifies anything: `policy.identity.tokens` does.
"""

import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any

import msgspec

from actors.core.errors import ConfigError

MIN_SECRET_BYTES = 32  # HS256 with less is guessable; the library itself takes even an empty one
MAX_SECRET_BYTES = 4096
MAX_JWKS_BYTES = 262_144
MAX_KEYS = 16
MIN_RSA_BITS = 2048
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
ALGORITHMS = {
    "ES256": "EC",
    "RS256": "RSA",
}  # algorithm → key type; asymmetric only, a JWKS file is public


class VerificationKeys(msgspec.Struct, frozen=True):
    """The keys of the one issuer and its ONE algorithm. `by_kid` maps key id → secret bytes (HS256)
    or public JWK members."""

    algorithm: str
    by_kid: dict[str, Any]


def ensure_secret(path: Path) -> bytes:
    """The secret in `path`, made there first (0600, 256 random bits as hex) when the file is
    absent. Raises ConfigError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        return read_secret(path)
    except OSError as error:
        raise ConfigError(f"the secret file {path} cannot be made: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_hex(MIN_SECRET_BYTES).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return read_secret(path)


def read_secret(path: Path) -> bytes:
    """The secret in `path` without the newline at its end. Raises ConfigError unless it is ours
    alone (0600) and 32 bytes or more."""
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno())
            if not stat.S_ISREG(mode.st_mode):
                raise ConfigError(f"the secret file {path} is not a regular file")
            if mode.st_mode & 0o077:
                raise ConfigError(
                    f"the secret file {path} can be read by others; run: chmod 600 {path}"
                )
            text = file.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"the secret file {path} cannot be read: {error.strerror}") from error
    secret = text.removesuffix(b"\n").removesuffix(b"\r")
    if len(secret) < MIN_SECRET_BYTES or len(text) > MAX_SECRET_BYTES:
        raise ConfigError(
            f"the secret in {path} must have {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes; it "
            f"has {len(secret)}"
        )
    return secret


def read_jwks(path: Path) -> VerificationKeys:
    """The public keys of a JWKS file (RFC 7517): every key with `kid`, all of the same algorithm
    (ES256 or RS256).

    Raises ConfigError, also for a private or symmetric key: such a file is handed around.
    """
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o022:
                raise ConfigError(
                    f"the key file {path} can be changed by others; run: chmod go-w {path}"
                )
            text = file.read(MAX_JWKS_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"the key file {path} cannot be read: {error.strerror}") from error
    if len(text) > MAX_JWKS_BYTES:
        raise ConfigError(f"the key file {path} is longer than {MAX_JWKS_BYTES} bytes")
    return parse_jwks(text, str(path))


def parse_jwks(text: bytes, name: str) -> VerificationKeys:
    """:func:`read_jwks` of a text; `name` is used in messages."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name} is not JSON") from error
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= MAX_KEYS:
        raise ConfigError(f'{name} must be {{"keys": [...]}} with 1 to {MAX_KEYS} keys')
    by_kid: dict[str, Any] = {}
    algorithms = set()
    for key in keys:
        kid, algorithm = _check_key(key, name)
        if kid in by_kid:
            raise ConfigError(f"{name}: the kid {kid!r} appears twice")
        by_kid[kid] = key
        algorithms.add(algorithm)
    if len(algorithms) > 1:
        raise ConfigError(
            f"{name}: one issuer has one algorithm, this file has {', '.join(sorted(algorithms))}"
        )
    return VerificationKeys(algorithms.pop(), by_kid)


def _check_key(key: Any, name: str) -> tuple[str, str]:
    if (
        not isinstance(key, dict)
        or not isinstance(key.get("kid"), str)
        or not 1 <= len(key["kid"]) <= 128
    ):
        raise ConfigError(f"{name}: every key needs a `kid` of 1 to 128 characters")
    kid = key["kid"]
    algorithm = key.get("alg", {"EC": "ES256", "RSA": "RS256"}.get(str(key.get("kty"))))
    if algorithm not in ALGORITHMS or key.get("kty") != ALGORITHMS[algorithm]:
        raise ConfigError(f"{name}: key {kid!r} must be ES256 (EC, P-256) or RS256 (RSA)")
    if algorithm == "ES256" and key.get("crv") != "P-256":
        raise ConfigError(f"{name}: key {kid!r} is not on the curve P-256")
    if key.get("use", "sig") != "sig":
        raise ConfigError(f"{name}: key {kid!r} is not for signatures")
    if private := sorted(PRIVATE_MEMBERS & key.keys()):
        raise ConfigError(
            f"{name}: key {kid!r} holds private members ({', '.join(private)}); keep only the "
            "public key here"
        )
    if algorithm == "RS256" and len(str(key.get("n", ""))) * 6 < MIN_RSA_BITS:
        raise ConfigError(f"{name}: key {kid!r} has less than {MIN_RSA_BITS} bits")
    return kid, algorithm
