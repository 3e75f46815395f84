"""Files of a backup and of its keys, without a server."""

import asyncio
import fcntl
import hashlib
import os
from pathlib import Path

import msgspec
import pytest

from actors.core.errors import BadInput, Conflict
from actors.core.settings import PostgresSettings
from storage.backups import backups, keys
from storage.backups.programs import PostgresPrograms
from storage.embedded.packages import POSTGRES
from storage.keyring import FolderKeyring
from storage.ports.keyring import KeyScope

GATE = KeyScope("20261201", "site", "gate", "plates")
YARD = GATE._replace(camera="yard")


def saved(place: Path) -> tuple[keys.KeyFolders, FolderKeyring, dict[KeyScope, str]]:
    """A keyring with two keys, in a file of keys in ``vault``; their ids."""
    folders = keys.KeyFolders(place / "keys", place / "keyring")
    ring = FolderKeyring(folders.keyring)
    made = asyncio.run(ring.current([GATE, YARD]))
    keys.save(folders, place / "vault" / "one.keys")
    return folders, ring, {scope: key.id for scope, key in made.items()}


def test_a_destroyed_key_does_not_come_back(tmp_path: Path) -> None:
    folders, ring, ids = saved(tmp_path)
    asyncio.run(ring.destroy([ids[GATE]]))
    keys.put(keys.read(tmp_path / "vault" / "one.keys"), folders)
    assert not (folders.keyring / f"{ids[GATE]}.key").exists()
    assert asyncio.run(ring.ids()) == [ids[YARD]]


def test_older_files_forget_a_destroyed_key(tmp_path: Path) -> None:
    folders, ring, ids = saved(tmp_path)
    asyncio.run(ring.destroy([ids[GATE]]))
    assert keys.forget_destroyed(folders, tmp_path / "vault") == []
    kept = keys.read(tmp_path / "vault" / "one.keys")
    assert sorted(kept) == [f"keyring/{ids[GATE]}.destroyed", f"keyring/{ids[YARD]}.key"]


def test_a_changed_byte_of_a_dump_is_found(tmp_path: Path) -> None:
    content = b"of a database"
    digest = hashlib.sha256(content).hexdigest()
    manifest = backups.BackupManifest("eyrie-1", "dump", "", POSTGRES.line, len(content), digest)
    (tmp_path / backups.MANIFEST).write_bytes(msgspec.json.encode(manifest))
    (tmp_path / backups.DUMP).write_bytes(content)
    assert backups.verify(tmp_path, PostgresPrograms(tmp_path)) == manifest
    (tmp_path / backups.DUMP).write_bytes(b"Of a database")
    with pytest.raises(BadInput, match="is not what was written"):
        backups.verify(tmp_path, PostgresPrograms(tmp_path))


def test_one_backup_at_a_time(tmp_path: Path) -> None:
    """Before anything of the other one is tidied away, or any program runs."""
    half = tmp_path / "to" / "eyrie-1.partial"
    half.mkdir(parents=True)
    programs, nowhere = PostgresPrograms(tmp_path), PostgresSettings(dsn="postgresql://")
    descriptor = os.open(tmp_path / "to", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match="is under way"):
            backups.take(nowhere, tmp_path / "to", programs, embedded=False)
    finally:
        os.close(descriptor)
    assert half.is_dir()
