"""Secrets of sinks: encrypted in PostgreSQL under a key in a file beside the keyring.

Whoever has the database alone, or a backup of it, cannot sign in our name. AES-256-GCM, bound to
the name of the sink.
"""

import os
import secrets as random_bytes
from pathlib import Path
from typing import Annotated

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from actors.core.errors import ConfigError

KEY_BYTES, NONCE_BYTES = 32, 12
OVERLAP_S = 86_400.0  # how long the secret before the current one signs too


class Secret(msgspec.Struct, frozen=True):
    """`until_s` (seconds since 1970): it signs until then; 0: on and on."""

    text: str
    until_s: float = 0.0


class Secrets(msgspec.Struct, frozen=True):
    """At most two, the current one first."""

    all: Annotated[tuple[Secret, ...], msgspec.Meta(max_length=2)] = ()

    def in_force(self, now_s: float) -> list[str]:
        """Those that sign now."""
        return [one.text for one in self.all if not one.until_s or now_s < one.until_s]

    def rotated(self, fresh: str, now_s: float) -> "Secrets":
        """`fresh` signs from now on, beside the current one for a day."""
        old = tuple(Secret(one.text, now_s + OVERLAP_S) for one in self.all[:1])
        return Secrets((Secret(fresh), *old))


def key_of(keyring: Path) -> bytes:
    """The key of this deployment, made when there is none. Blocking. Raises ConfigError."""
    path = keyring / "sinks.key"
    try:
        keyring.mkdir(0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f".sinks.{random_bytes.token_hex(4)}")
        if not path.exists():
            _write(fresh, path)
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"others may read {path}", hint="chmod 600 it.")
        key = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"the key of sinks cannot be used: {error}") from error
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{path} is no key of {KEY_BYTES} bytes")
    return key


def _write(fresh: Path, path: Path) -> None:
    """Whole or not at all; whoever was faster has made it."""
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(random_bytes.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            return
    finally:
        fresh.unlink(missing_ok=True)


def seal(key: bytes, sink: str, secrets: Secrets) -> bytes:
    """As PostgreSQL keeps them."""
    nonce = random_bytes.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, msgspec.json.encode(secrets), sink.encode())


def unseal(key: bytes, sink: str, sealed: bytes) -> Secrets:
    """What :func:`seal` wrote. Raises ConfigError under another key."""
    if not sealed:
        return Secrets()
    try:
        text = AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], sink.encode())
    except InvalidTag as error:
        raise ConfigError(
            f"the secrets of sink {sink} cannot be read with this key",
            hint="Is events.keyring_dir the folder that they were made with? Else rotate them.",
        ) from error
    return msgspec.json.decode(text, type=Secrets)
