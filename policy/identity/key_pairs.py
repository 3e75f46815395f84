"""Key pairs for tokens, as files: a folder with ``signing.json`` (private, 0600) and ``jwks.json``
(public, for the hubs).

Rotation publishes the new public key before anything is signed with it, and keeps the old one until
its overlap is over.
"""

import base64
import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from actors.core.errors import BadInput, ConfigError, NotFound
from policy.identity.atomic_files import write_whole
from policy.identity.keys import ALGORITHMS, MAX_JWKS_BYTES, MAX_KEYS, parse_jwks

SIGNING = "signing.json"
PUBLIC = "jwks.json"
RSA_BITS = 3072
MAX_OVERLAP_S = 366 * 86_400.0


class SigningKey(msgspec.Struct, frozen=True):
    """A private key with its id; `pem` is PKCS 8."""

    kid: str
    algorithm: str
    pem: str

    def __repr__(self) -> str:
        """Without the key: this may end in a log."""
        return f"SigningKey({self.kid!r}, {self.algorithm!r})"


def read_signing_key(path: Path) -> SigningKey:
    """The private key in `path`. Raises ConfigError unless the file is ours alone (0600)."""
    try:
        with open(path, "rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise ConfigError(
                    f"the key file {path} can be read by others; run: chmod 600 {path}"
                )
            key = msgspec.json.decode(file.read(MAX_JWKS_BYTES), type=SigningKey)
    except OSError as error:
        raise ConfigError(f"the key file {path} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the key file {path} holds no key of `eyrie keys`") from error
    if key.algorithm not in ALGORITHMS:
        raise ConfigError(
            f"the key file {path} is for {key.algorithm!r}; it must be one of "
            f"{', '.join(ALGORITHMS)}"
        )
    return key


def make(folder: Path, algorithm: str) -> str:
    """The first pair of `folder`; its kid. Raises BadInput when there is one, ConfigError when it
    cannot be written."""
    if (folder / SIGNING).exists() or (folder / PUBLIC).exists():
        raise BadInput(f"{folder} holds a key pair already", hint="Use `eyrie keys rotate`.")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the folder {folder} cannot be made: {error.strerror}") from error
    return _add(folder, algorithm, [])


def rotate(folder: Path, *, overlap_s: float, now_s: float) -> str:
    """A new pair, of the same algorithm; the kid. The old public key stays for `overlap_s`; what is
    over by `now_s` goes."""
    if not 0 <= overlap_s <= MAX_OVERLAP_S:
        raise BadInput(f"an overlap is 0 to {MAX_OVERLAP_S:.0f} seconds, not {overlap_s}")
    old = read_signing_key(folder / SIGNING)
    kept = [key for key in published(folder) if key.get("retires", now_s + 1) > now_s]
    for key in kept:
        key.setdefault("retires", int(now_s + overlap_s))
    return _add(folder, old.algorithm, kept)


def retire(folder: Path, kid: str) -> None:
    """Take a public key away now: its tokens are refused. Raises BadInput for the key that signs,
    NotFound for an unknown one."""
    if read_signing_key(folder / SIGNING).kid == kid:
        raise BadInput(f"{kid} signs new tokens", hint="Rotate first: `eyrie keys rotate`.")
    keys = published(folder)
    kept = [key for key in keys if key["kid"] != kid]
    if len(kept) == len(keys):
        raise NotFound(f"there is no key {kid}", hint="`eyrie keys list` names them.")
    _publish(folder, kept)


def published(folder: Path) -> list[dict[str, Any]]:
    """The public keys of `folder`, as they stand in its JWKS; `retires` is when an overlap is over,
    seconds since 1970."""
    path = folder / PUBLIC
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_JWKS_BYTES)
    except OSError as error:
        raise ConfigError(
            f"the key file {path} cannot be read: {error.strerror}",
            hint="`eyrie keys make` makes a pair.",
        ) from error
    return list(parse_jwks(text, str(path)).by_kid.values())


def _add(folder: Path, algorithm: str, others: list[dict[str, Any]]) -> str:
    if len(others) >= MAX_KEYS:
        raise BadInput(
            f"{folder} holds {len(others)} public keys, the most there may be",
            hint="Retire one: `eyrie keys retire`.",
        )
    kid = secrets.token_hex(8)
    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    if algorithm == "ES256":
        private = ec.generate_private_key(ec.SECP256R1())
        numbers = private.public_key().public_numbers()
        public = {"kty": "EC", "crv": "P-256", "x": _b64(numbers.x, 32), "y": _b64(numbers.y, 32)}
    else:
        private = rsa.generate_private_key(public_exponent=65_537, key_size=RSA_BITS)
        parts = private.public_key().public_numbers()
        public = {"kty": "RSA", "n": _b64(parts.n, RSA_BITS // 8), "e": _b64(parts.e, 3)}
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    _publish(folder, [*others, {**public, "kid": kid, "alg": algorithm, "use": "sig"}])
    write_whole(folder / SIGNING, msgspec.json.encode(SigningKey(kid, algorithm, pem)), 0o600)
    return kid


def _publish(folder: Path, keys: list[dict[str, Any]]) -> None:
    write_whole(folder / PUBLIC, json.dumps({"keys": keys}, indent=1).encode() + b"\n", 0o644)


def _b64(number: int, size: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(size, "big")).rstrip(b"=").decode()
