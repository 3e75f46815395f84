"""Backups in a folder: taken, listed, dropped.

    <folder>/eyrie-20261130T221500Z/backup.json      what it is, written last
    <folder>/eyrie-20261130T221500Z/base/            an embedded server's files with their WAL
    <folder>/eyrie-20261130T221500Z/database.dump    of any other: a consistent dump

One is made under another name (``.partial``) and renamed when it is whole and verified, so what is
listed is good, and what a killed backup leaves behind goes with the next one. Keys are never in it
(`storage.backups.keys`).
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from actors.core.errors import BadInput, Conflict, NotFound, StartError
from actors.core.settings import PostgresSettings
from actors.core.times import rfc3339
from storage.backups.programs import PostgresPrograms
from storage.embedded.packages import POSTGRES

PREFIX, PARTIAL = "eyrie-", ".partial"
BASE, DUMP, MANIFEST = "base", "database.dump", "backup.json"
BLOCK = 1 << 20  # bytes read at once


class BackupManifest(msgspec.Struct, frozen=True):
    """What a backup is. `sha256` of a dump in hex; a base backup has PostgreSQL's own manifest.
    `line`: PostgreSQL's release line."""

    name: str
    kind: Literal["base", "dump"]
    made: str
    line: str
    bytes: int
    sha256: str = ""


def take(
    database: PostgresSettings,
    folder: Path,
    programs: PostgresPrograms,
    *,
    embedded: bool,
    now_s: float | None = None,
) -> BackupManifest:
    """Make one of `database` in `folder`, while everything runs. `embedded`: the server is ours, so
    a base backup can be had. Raises Unavailable, Conflict, StartError."""
    moment = time.time() if now_s is None else now_s
    name = PREFIX + time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))
    with _alone(folder):
        return _take(database, folder, programs, name, moment, embedded)


def _take(
    database: PostgresSettings,
    folder: Path,
    programs: PostgresPrograms,
    name: str,
    moment: float,
    embedded: bool,
) -> BackupManifest:
    _tidy(folder)
    final, fresh = folder / name, folder / (name + PARTIAL)
    if final.exists():
        raise Conflict(f"there is a backup {name} already", hint="Begin again in a second.")
    try:
        fresh.mkdir(mode=0o700)
        if embedded:
            base = fresh / BASE
            programs.run(
                "pg_basebackup",
                *("--pgdata", base, "--wal-method=stream", "--checkpoint=fast"),
                "--manifest-checksums=SHA256",
                database=database,
            )
            programs.run("pg_verifybackup", base)
            digest = ""
        else:
            file = fresh / DUMP
            programs.run("pg_dump", "--format=custom", "--file", file, database=database)
            digest = digest_of(file)
        manifest = BackupManifest(
            name,
            "base" if embedded else "dump",
            rfc3339(round(moment * 1_000_000)),
            POSTGRES.line,
            sum(path.stat().st_size for path in fresh.rglob("*") if path.is_file()),
            digest,
        )
        _write(fresh / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
        _sync(fresh)
        fresh.rename(final)
        _sync(folder)
    except OSError as error:
        raise StartError(
            f"the backup cannot be written to {folder}: {error.strerror}",
            hint="Make room there, or choose another folder.",
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return manifest


def listed(folder: Path) -> list[BackupManifest]:
    """Those in `folder`, the newest first. What is not whole is none."""
    found = []
    for path in sorted(folder.glob(f"{PREFIX}*"), reverse=True):
        if not path.name.endswith(PARTIAL) and (path / MANIFEST).is_file():
            found.append(manifest_of(path))
    return found


def manifest_of(backup: Path) -> BackupManifest:
    """Of one folder. Raises NotFound, BadInput."""
    try:
        return msgspec.json.decode((backup / MANIFEST).read_bytes(), type=BackupManifest)
    except OSError as error:
        raise NotFound(
            f"{backup} is no backup", hint="`eyrie backup list` shows what there is."
        ) from error
    except msgspec.DecodeError as error:
        raise BadInput(f"{backup / MANIFEST} cannot be read: {error}") from error


def verify(backup: Path, programs: PostgresPrograms) -> BackupManifest:
    """Whether every byte is as it was written. Raises BadInput, Unavailable."""
    manifest = manifest_of(backup)
    if manifest.line != POSTGRES.line:
        raise BadInput(
            f"{backup.name} is of PostgreSQL {manifest.line}, and this Eyrie runs "
            f"PostgreSQL {POSTGRES.line}",
            hint="Restore it with the Eyrie that made it.",
        )
    if manifest.kind == "base":
        programs.run("pg_verifybackup", backup / BASE)
    elif digest_of(backup / DUMP) != manifest.sha256:
        raise BadInput(f"{backup / DUMP} is not what was written", hint="Take an earlier backup.")
    return manifest


def prune(folder: Path, keep: int) -> list[str]:
    """Drop all but the newest `keep`; the names of those that went."""
    gone = [manifest.name for manifest in listed(folder)[max(1, keep) :]]
    for name in gone:
        # Without its manifest it is none any more, however far the removal comes.
        (folder / name / MANIFEST).unlink()
        shutil.rmtree(folder / name)
    return gone


def digest_of(file: Path) -> str:
    """SHA-256 of a file, in hex."""
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One backup at a time in a folder: the next one tidies up. Raises Conflict, StartError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise StartError(
            f"backups cannot be kept in {folder}: {error.strerror}", hint="Choose another folder."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise Conflict(
            f"another backup into {folder} is under way", hint="Begin again when it has ended."
        ) from error
    finally:
        os.close(descriptor)


def _tidy(folder: Path) -> None:
    try:
        for path in folder.glob(f"{PREFIX}*"):
            if path.name.endswith(PARTIAL) or not (path / MANIFEST).exists():
                shutil.rmtree(path)  # what a killed backup, or a killed removal, left
    except OSError as error:
        raise StartError(
            f"backups cannot be kept in {folder}: {error.strerror}", hint="Choose another folder."
        ) from error


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
