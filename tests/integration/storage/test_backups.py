"""Backups as their users meet them: taken while everything runs, checked, put back."""

import asyncio
import fcntl
import os
import shutil
import time
from pathlib import Path

import pytest

from storage.backups.backups import BASE, PARTIAL
from storage.embedded.data_dir import DataDir
from storage.embedded.postgres import EmbeddedPostgres
from storage.keyring import FolderKeyring
from storage.ports.keyring import KeyScope
from tests.support.backup_places import (
    CAMERAS,
    EVENTS,
    Say,
    altered,
    filled,
    in_new_epochs,
    place,
    positions,
    restored,
    say,
)
from tests.support.waiting import block_until

__all__ = ["place", "say"]

pytestmark = [pytest.mark.prove, pytest.mark.timeout(900)]  # many servers, one after another


def test_a_backup_is_taken_checked_and_put_back_with_its_keys(place: Path, say: Say) -> None:
    data, before = filled(place)
    to, vault = place / "backups", place / "vault"
    secret = place / "passphrase"
    secret.write_text("correct horse\n")
    apart = ("--keys-to", vault, "--passphrase-file", secret)
    code, made, _ = say("backup", "take", "--to", to, "--data-dir", data.path, *apart)
    assert (code, made["kind"], made["keys"]) == (0, "base", True)
    assert [one["name"] for one in say("backup", "list", "--to", to)[1]] == [made["name"]]
    planted = [
        path for path in to.rglob("*") if path.is_file() and b"planted-key" in path.read_bytes()
    ]
    (kept,) = vault.iterdir()
    assert (planted, b"planted-key" in kept.read_bytes(), kept.stat().st_mode & 0o777) == (
        [],
        False,
        0o600,
    )

    code, checked, _ = say("backup", "check", "--to", to)
    assert (code, checked["green"]) == (0, True)
    assert (checked["cameras"], checked["events"]) == (len(CAMERAS), len(CAMERAS) * EVENTS)

    new = DataDir(place / "new")
    words = ("restore", to / made["name"], "--data-dir", new.path, "--keys", kept)
    assert say(*words)[0] == 2, "without the passphrase"
    assert not new.path.exists(), "and nothing was begun"
    assert say(*words, "--passphrase-file", secret)[0] == 0
    assert (new.keys / "policy.secret").read_text() == "planted-key"
    assert in_new_epochs(restored(new), before)
    code, _, told = say(*words, "--passphrase-file", secret)
    assert (code, "has a database already" in told) == (1, True)
    assert sorted(path.name for path in new.path.iterdir() if path.name == "restoring") == []


def test_a_changed_byte_is_found_by_the_check_and_by_the_restore(place: Path, say: Say) -> None:
    data, _ = filled(place)
    to = place / "backups"
    _, made, _ = say("backup", "take", "--to", to, "--data-dir", data.path)
    largest = max((to / made["name"] / BASE / "base").rglob("*"), key=lambda p: p.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    assert say("backup", "check", "--to", to)[0] == 1
    assert say("restore", to / made["name"], "--data-dir", place / "new")[0] == 1
    assert not (place / "new" / "postgres").exists()


def test_a_lost_tail_and_an_altered_event_are_found_by_the_check(place: Path, say: Say) -> None:
    data, _ = filled(place)
    to = place / "backups"
    found: set[str] = set()
    for camera, change in (
        ("gate", "DELETE FROM events WHERE camera = 'gate' AND \"offset\" = 3"),
        (
            "yard",
            "UPDATE events SET body = convert_to(replace(convert_from(body, 'UTF8'), 'door', "
            "'roof'), 'UTF8') WHERE camera = 'yard' AND \"offset\" = 2",
        ),
    ):
        server = EmbeddedPostgres(data, max_connections=30)
        server.start()
        try:
            asyncio.run(altered(server.dsn, change))
        finally:
            server.stop()
        say("backup", "take", "--to", to, "--data-dir", data.path)
        code, checked, _ = say("backup", "check", "--to", to)
        found.add(camera)
        assert (code, {one["camera"] for one in checked["findings"]}) == (1, found)
        shutil.rmtree(to)


def test_a_dump_of_a_server_of_ones_own_goes_into_an_empty_database_and_a_data_directory(
    place: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, before = filled(place)
    server = EmbeddedPostgres(data, max_connections=30)
    server.start()
    try:
        to = place / "backups"
        code, made, _ = say("backup", "take", "--to", to, "--source", server.dsn)
        assert (code, made["kind"], len(made["sha256"])) == (0, "dump", 64)
        code, checked, _ = say("backup", "check", "--to", to)
        assert (code, checked["events"]) == (0, len(CAMERAS) * EVENTS)
        backup, new = to / made["name"], DataDir(place / "new")
        assert say("restore", backup, "--data-dir", new.path)[0] == 0
        assert in_new_epochs(restored(new), before)
        monkeypatch.setenv("EYRIE_POSTGRES_DSN", server.dsn)
        code, _, told = say("restore", backup, "--data-dir", place / "own")
        assert (code, "tables already" in told) == (1, True)
        asyncio.run(altered(server.dsn, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public"))
        assert say("restore", backup, "--data-dir", place / "own")[0] == 0
        assert in_new_epochs(asyncio.run(positions(server.dsn)), before)
    finally:
        server.stop()


def test_keys_that_were_destroyed_go_out_of_older_files_and_do_not_come_back(
    place: Path, say: Say
) -> None:
    data, _ = filled(place)
    ring, scope = FolderKeyring(place / "ring"), KeyScope("20261201", "site", "gate", "plates")
    kept = asyncio.run(ring.current([scope, scope._replace(camera="yard")]))
    to, vault, secret = place / "backups", place / "vault", place / "passphrase"
    secret.write_text("correct horse\n")
    config = place / "eyrie.toml"
    config.write_text(f'[events]\nkeyring_dir = "{place / "ring"}"\n')
    words = ("--to", to, "--keys-to", vault, "--data-dir", data.path, "--config", config)
    first = say("backup", "take", *words, "--passphrase-file", secret)[1]["name"]
    asyncio.run(ring.destroy([kept[scope].id]))
    (vault / "eyrie-older.keys").write_bytes(b"eyrie-keys-1\n" + bytes(100))
    block_until(lambda: time.strftime("eyrie-%Y%m%dT%H%M%SZ", time.gmtime()) != first, "a second")
    code, made, _ = say("backup", "take", *words, "--passphrase-file", secret)
    assert (code, made["unread_keys"]) == (0, ["eyrie-older.keys"]), "and it is told which"
    shutil.rmtree(place / "ring")
    restored_keys = ("--keys", vault / f"{first}.keys", "--passphrase-file", secret)
    new = ("--data-dir", place / "new", "--config", config)
    assert say("restore", to / first, *restored_keys, *new)[0] == 0
    assert asyncio.run(ring.ids()) == [kept[scope._replace(camera="yard")].id]
    found = asyncio.run(FolderKeyring(place / "ring").find([key.id for key in kept.values()]))
    assert found == {
        kept[scope].id: None,
        kept[scope._replace(camera="yard")].id: kept[scope._replace(camera="yard")].secret,
    }
    for file in (place / "ring").rglob("*"):
        assert file.stat().st_mode & 0o077 == 0, f"others may use {file}"


def test_one_backup_at_a_time_goes_into_a_folder_and_the_newest_stay(place: Path, say: Say) -> None:
    data, _ = filled(place)
    to, vault = place / "backups", place / "vault"
    to.mkdir()
    words = ("backup", "take", "--to", to, "--keys-to", vault, "--data-dir", data.path)
    descriptor = os.open(to, os.O_RDONLY)
    try:  # as another backup into the same folder holds it
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        (to / f"eyrie-other{PARTIAL}").mkdir()
        code, _, told = say(*words)
        assert (code, "under way" in told) == (1, True)
        assert (to / f"eyrie-other{PARTIAL}").is_dir(), "what the other one makes stays"
    finally:
        os.close(descriptor)
    made: list[str] = []
    for _ in range(3):
        block_until(
            lambda: time.strftime("eyrie-%Y%m%dT%H%M%SZ", time.gmtime()) not in made, "a second"
        )
        made.append(say(*words, "--keep", 2)[1]["name"])
    assert sorted(path.name for path in to.iterdir()) == made[1:]
    assert sorted(path.name for path in vault.iterdir()) == [f"{name}.keys" for name in made[1:]]
