"""The keys of an instance, kept apart from its database: as one file for each backup, encrypted if
there is a passphrase.

Who has a backup and the keys has everything; that is why they go to different places. The file is a
compressed tar archive of ``keys/`` (the secrets of the data directory) and ``keyring/`` (the keys
of personal values, wherever they lie); encrypted it is ``eyrie-keys-1``, a salt of 16 bytes, a
nonce of 12, and AES-256-GCM under scrypt (RFC 7914: n 2¹⁵, r 8, p 1).

A key of the keyring that was destroyed must not live on here: the next backup takes it out of the
older files (`forget_destroyed`).
"""

import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from actors.core.errors import BadInput, Conflict, NotFound

MAGIC = b"eyrie-keys-1\n"
SUFFIX = ".keys"
SALT, NONCE = 16, 12
MAX_BYTES = 512 * 1024 * 1024  # of a file
MAX_KEY = 1024 * 1024  # bytes of one key, or certificate


class KeyFolders(msgspec.Struct, frozen=True):
    """Where an instance has them: the secrets of its data directory, and its keyring."""

    keys: Path
    keyring: Path

    def named(self) -> tuple[tuple[str, Path], ...]:
        """By the names that they have in the archive."""
        return (("keys", self.keys), ("keyring", self.keyring))


Kept = dict[str, bytes]  # path in the archive → content


def save(folders: KeyFolders, file: Path, passphrase: bytes = b"") -> None:
    """Write them to `file` (0600), which must not be there. Raises NotFound, Conflict, BadInput."""
    found = dict(_files(folders))
    if not found:
        raise NotFound(f"{folders.keys} and {folders.keyring} have no keys")
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = _written(file, found, passphrase)
    try:
        os.link(fresh, file)
    except FileExistsError as error:
        raise Conflict(f"{file} is there already") from error
    finally:
        fresh.unlink()
    _sync(file.parent)


def read(file: Path, passphrase: bytes = b"") -> Kept:
    """What a file holds. Raises NotFound, BadInput."""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise BadInput(f"{file} is longer than {MAX_BYTES} bytes")
        content = file.read_bytes()
    except OSError as error:
        raise NotFound(f"{file} cannot be read: {error.strerror}") from error
    if content.startswith(MAGIC):
        content = _opened(content[len(MAGIC) :], file, passphrase)
    kept: Kept = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive:
                parts = PurePosixPath(member.name).parts
                whole = len(parts) > 1 and parts[0] in ("keys", "keyring") and ".." not in parts
                data = archive.extractfile(member) if member.isreg() else None
                if not whole or data is None or member.size > MAX_KEY:
                    raise BadInput(f"{file} holds {member.name[:80]!r}, which is no key")
                kept[member.name] = data.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BadInput(f"{file} holds no keys: {error}") from error
    return kept


def put(kept: Mapping[str, bytes], folders: KeyFolders) -> None:
    """Into folders that hold none, or the same (a restore that is run again). A keyring that
    destroyed a key since does not get it back. Raises Conflict."""
    places = {name: _place(name, folders) for name in kept}
    for place, content in ((places[name], content) for name, content in kept.items()):
        if place.exists() and place.read_bytes() != content:
            raise Conflict(
                f"{place} is there already, and is another one",
                hint="Restore into an empty data directory.",
            )
    for name, content in sorted(kept.items()):
        place = places[name]
        if not place.exists() and not place.with_suffix(".destroyed").exists():
            _make_folders(place.parent)
            _write(place, content)
            _sync(place.parent)


def forget_destroyed(folders: KeyFolders, vault: Path, passphrase: bytes = b"") -> list[str]:
    """Take what the keyring destroyed out of the files in `vault`; the names of those that cannot
    be opened, which may still hold it."""
    unread = []
    for file in sorted(vault.glob(f"*{SUFFIX}")):
        try:
            kept = read(file, passphrase)
        except BadInput:
            unread.append(file.name)
            continue
        gone = {
            name
            for name in kept
            if name.endswith(".key")
            and _place(name, folders).with_suffix(".destroyed").exists()
            and name.startswith("keyring/")
        }
        if gone:
            left = {name: content for name, content in kept.items() if name not in gone}
            left |= {name.removesuffix(".key") + ".destroyed": b"" for name in gone}
            _written(file, left, passphrase).rename(file)
            _sync(vault)
    return unread


def _files(folders: KeyFolders) -> Iterator[tuple[str, bytes]]:
    for name, folder in folders.named():
        for path in sorted(folder.rglob("*")):
            # A name that begins with a dot is a key that is just being made.
            if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
                yield f"{name}/{path.relative_to(folder)}", path.read_bytes()


def _place(name: str, folders: KeyFolders) -> Path:
    root, _, rest = name.partition("/")
    return dict(folders.named())[root] / rest


def _written(file: Path, kept: Mapping[str, bytes], passphrase: bytes) -> Path:
    """The archive beside `file`, on disk (0600)."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in sorted(kept.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o600
            archive.addfile(member, io.BytesIO(data))
    content = packed.getvalue()
    if len(content) > MAX_BYTES:
        raise BadInput(f"the keys are longer than {MAX_BYTES} bytes")
    if passphrase:
        salt, nonce = os.urandom(SALT), os.urandom(NONCE)
        sealed = AESGCM(_key(passphrase, salt)).encrypt(nonce, content, MAGIC)
        content = MAGIC + salt + nonce + sealed
    fresh = file.with_name(file.name + ".partial")
    fresh.unlink(missing_ok=True)
    _write(fresh, content)
    return fresh


def _opened(rest: bytes, file: Path, passphrase: bytes) -> bytes:
    if not passphrase:
        raise BadInput(f"{file} is encrypted", hint="Name its passphrase's file.")
    salt, nonce, sealed = rest[:SALT], rest[SALT : SALT + NONCE], rest[SALT + NONCE :]
    try:
        return AESGCM(_key(passphrase, salt)).decrypt(nonce, sealed, MAGIC)
    except (InvalidTag, ValueError) as error:
        raise BadInput(f"{file} was changed, or that is not its passphrase") from error


def _key(passphrase: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(passphrase)


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def _make_folders(folder: Path) -> None:
    """Each of them 0700, those that are there as they are."""
    if not folder.is_dir():
        _make_folders(folder.parent)
        folder.mkdir(0o700)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
