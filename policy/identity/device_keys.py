"""Keys by which devices sign their HTTP requests, as one file (0600: it may hold secrets): whose
each is, and which cameras it is for.

The hubs look at the file again every second. A key that is no longer in it holds no longer.
"""

import base64
import binascii
import hashlib
import logging
import os
import secrets
import stat
import time
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from actors.core.errors import BadInput, ConfigError, NotFound
from policy.identity.atomic_files import write_whole
from policy.identity.principal import Principal
from policy.identity.tokens import Camera, Name, Second, Site

log = logging.getLogger(__name__)

Algorithm = Literal["ed25519", "hmac-sha256"]

ALGORITHMS = ("ed25519", "hmac-sha256")
MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_KEYS = 20_000
SECRET_BYTES = 32
LOOK_S = 1.0
NEVER_S = 2**40  # when a key without an end ends


class DeviceKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One key. `key` in base64: the 32 bytes of an Ed25519 public key, or a shared secret of 32
    bytes or more; times seconds since 1970."""

    keyid: Name
    device: Name
    algorithm: Algorithm
    key: Annotated[str, msgspec.Meta(max_length=1024)]
    cameras: Annotated[tuple[Camera, ...], msgspec.Meta(min_length=1, max_length=512)]
    sites: Annotated[tuple[Site, ...], msgspec.Meta(min_length=1, max_length=256)] = ("*",)
    created: Second = 0
    expires: Second = NEVER_S

    def __repr__(self) -> str:
        """Without the key: this may end in a log."""
        return f"DeviceKey({self.keyid!r}, {self.device!r}, {self.algorithm!r})"

    @property
    def material(self) -> bytes:
        """The key itself. Raises ConfigError for what is none."""
        try:
            found = base64.b64decode(self.key, validate=True)
        except binascii.Error as error:
            raise ConfigError(f"the device key {self.keyid} is not base64") from error
        if (
            (len(found) != SECRET_BYTES)
            if self.algorithm == "ed25519"
            else (len(found) < SECRET_BYTES)
        ):
            raise ConfigError(f"the device key {self.keyid} has {len(found)} bytes")
        return found

    @property
    def fingerprint(self) -> str:
        """What it is revoked by: SHA-256 of the key id and the key, in hex."""
        return hashlib.sha256(self.keyid.encode() + b"\0" + self.key.encode()).hexdigest()

    def principal(self) -> Principal:
        """Who signs with it: the device, for the cameras of the key alone."""
        return Principal(
            self.device,
            self.keyid,
            "edge",
            self.created,
            self.expires,
            ("edge",),
            self.sites,
            self.cameras,
            certificate=self.fingerprint,
        )


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: Annotated[list[DeviceKey], msgspec.Meta(max_length=MAX_KEYS)]


class DeviceKeys:
    """The keys of the file `path` as of at most :data:`LOOK_S` ago; none for an empty path. A file
    that cannot be used holds no key."""

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None
        self._keys: dict[str, DeviceKey] = {}
        self._looked = float("-inf")
        self._mark: tuple[int, int, int] | None = None
        self.problem: str | None = None

    def find(self, keyid: str, now: float) -> DeviceKey | None:
        """The key of that id; `now` is monotonic seconds."""
        if self._path is not None and now - self._looked >= LOOK_S:
            self._looked = now
            self._look(self._path)
        return self._keys.get(keyid)

    def _look(self, path: Path) -> None:
        try:
            found = path.stat()
            mark = (found.st_mtime_ns, found.st_size, found.st_ino)
            if mark != self._mark:
                self._keys = {key.keyid: key for key in read(path)}
                self._mark = mark
            self.problem = None
        except OSError as error:
            self._none(f"the device keys {path} cannot be read: {error.strerror}")
        except ConfigError as error:
            self._none(error.detail)

    def _none(self, problem: str) -> None:
        """Told once, not at every look."""
        if problem != self.problem:
            log.error("no signed request is taken: %s", problem)
        self._keys, self._mark, self.problem = {}, None, problem


def read(path: Path) -> list[DeviceKey]:
    """All of the file. Raises ConfigError when it cannot be used, or others can read it."""
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise ConfigError(
                    f"the device keys {path} can be read by others; run: chmod 600 {path}"
                )
            keys = msgspec.json.decode(file.read(MAX_FILE_BYTES), type=_File).keys
    except OSError as error:
        raise ConfigError(f"the device keys {path} cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"the device keys {path} cannot be used: {error}") from error
    if len({key.keyid for key in keys}) != len(keys):
        raise ConfigError(f"the device keys {path} name a keyid twice")
    for key in keys:
        _ = key.material
    return keys


def make(
    path: Path,
    device: str,
    cameras: list[str],
    *,
    algorithm: Algorithm,
    sites: list[str] | None = None,
) -> Path:
    """Add a new key of `device`; the file, beside `path` and 0600, that the device gets. Raises
    BadInput, ConfigError."""
    keys = read(path) if path.exists() else []
    keyid = secrets.token_hex(8)
    if algorithm == "ed25519":
        private = Ed25519PrivateKey.generate()
        theirs = private.private_bytes(
            serialization.Encoding.Raw,
            serialization.PrivateFormat.Raw,
            serialization.NoEncryption(),
        )
        ours = private.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )
    else:
        theirs = ours = secrets.token_bytes(SECRET_BYTES)
    entry = {
        "keyid": keyid,
        "device": device,
        "algorithm": algorithm,
        "key": base64.b64encode(ours).decode(),
        "cameras": cameras,
        "created": int(time.time()),
    }
    try:
        key = msgspec.convert(entry | ({"sites": sites} if sites else {}), DeviceKey)
    except msgspec.ValidationError as error:
        raise BadInput(f"this makes no key of a device: {error}".replace("`$.", "`")) from error
    if len(keys) >= MAX_KEYS:
        raise BadInput(f"{path} holds {len(keys)} keys, the most there may be")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the folder {path.parent} cannot be made: {error.strerror}") from error
    handed = path.with_name(f"device-{keyid}.json")
    private_part = {
        "keyid": keyid,
        "algorithm": algorithm,
        "key": base64.b64encode(theirs).decode(),
    }
    write_whole(handed, msgspec.json.format(msgspec.json.encode(private_part)) + b"\n")
    write_whole(path, msgspec.json.format(msgspec.json.encode(_File([*keys, key]))) + b"\n")
    return handed


def drop(path: Path, keyid: str) -> None:
    """Take a key out: hubs refuse it a second later. Raises NotFound for an unknown one."""
    keys = read(path)
    kept = [key for key in keys if key.keyid != keyid]
    if len(kept) == len(keys):
        raise NotFound(f"there is no device key {keyid}", hint="`eyrie keys devices` names them.")
    write_whole(path, msgspec.json.format(msgspec.json.encode(_File(kept))) + b"\n")


def public_key(key: DeviceKey) -> bytes | Ed25519PublicKey:
    """What verifies: the public key, or the shared secret."""
    return (
        Ed25519PublicKey.from_public_bytes(key.material)
        if key.algorithm == "ed25519"
        else key.material
    )
