"""The audit log against a real PostgreSQL: what it tells is proven, and every way to alter it is
found."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from actors.core.errors import BadInput, Unavailable
from cluster.cli.main import main
from policy.actor import revisions
from policy.audit import Checkpoint, Proof, beginning, checkpoint, prove, sealing
from policy.engine.modules import read_sources
from storage.ports.audit_log import AuditDraft
from storage.stores import Stores
from tests.support.servers.store_fixtures import Servers

KEY = b"k" * 32
CHANGES = {
    "edited": "UPDATE audit_log SET who = 'eve' WHERE number = 3",
    "edited time": "UPDATE audit_log SET time_us = time_us + 1 WHERE number = 3",
    "deleted": "DELETE FROM audit_log WHERE number = 3",
    "deleted first": "DELETE FROM audit_log WHERE number = 1",
    "renumbered": "UPDATE audit_log SET number = 9 WHERE number = 5",
    "reordered": "UPDATE audit_log SET number = CASE number WHEN 2 THEN 102 ELSE 101 END WHERE "
    "number IN (2, 3)",
    "truncated": "DELETE FROM audit_log WHERE number > 3",
    "truncated with its end": "WITH d AS (DELETE FROM audit_log WHERE number > 3) "
    "UPDATE audit_head SET number = 3, hash = (SELECT hash FROM audit_log WHERE number = 3)",
    "truncated with a copied seal": "WITH d AS (DELETE FROM audit_log WHERE number > 3) "
    "UPDATE audit_head SET number = 3, hash = (SELECT hash FROM audit_log WHERE number = 3), "
    "seal = (SELECT seal FROM audit_log WHERE number = 3)",
    "emptied": "WITH d AS (DELETE FROM audit_log) UPDATE audit_head SET number = 0, hash = "
    "decode(repeat('00', 32), 'hex'), seal = ''",
    "emptied but for entry 0": "WITH d AS (DELETE FROM audit_log WHERE number > 0) UPDATE "
    "audit_head SET number = 0, "
    "hash = (SELECT hash FROM audit_log WHERE number = 0), seal = (SELECT seal FROM audit_log "
    "WHERE number = 0)",
    "end removed": "DELETE FROM audit_head",
    "added": "INSERT INTO audit_log SELECT 6, time_us, who, token, action, target, detail, hash, "
    "seal FROM audit_log WHERE number = 5",
}


async def fill(stores: Stores, count: int = 5) -> Checkpoint:
    await stores.audit_log.begin(beginning(KEY))
    for number in range(count):
        await stores.audit_log.append(
            sealing(
                KEY, AuditDraft("ada", f"t-{number}", "policy.activate", f"r{number}", "ü" * number)
            )
        )
    return await end(stores)


async def end(stores: Stores) -> Checkpoint:
    head = await stores.audit_log.head()
    assert head is not None
    return checkpoint(head, 0)


async def proof(stores: Stores, kept: Checkpoint | None = None, key: bytes = KEY) -> Proof:
    return await prove(stores.audit_log.read(), key, kept)


async def test_what_was_written_is_sound_also_by_many_at_once(stores: Stores) -> None:
    assert not (await proof(stores)).sound, "never begun"
    first = await fill(stores, 0)
    assert (await proof(stores, first)).sound
    await asyncio.gather(*(fill(stores, 5) for _ in range(4)))
    found = await proof(stores, await end(stores))
    assert (found.sound, found.entries) == (True, 21)
    assert not (await proof(stores, key=b"x" * 32)).sound
    newest = await stores.audit_log.before(2**62, 3)
    assert [entry.number for entry in newest] == [20, 19, 18]
    assert (await proof(stores, first)).sound
    assert not await stores.audit_log.begin(beginning(KEY))


async def test_a_log_from_before_there_was_an_entry_0_is_proven_by_a_checkpoint_and_by_nothing_else(
    stores: Stores,
) -> None:
    for _ in range(3):
        await stores.audit_log.append(sealing(KEY, AuditDraft("ada", "t", "policy.activate", "r")))
    assert not await stores.audit_log.begin(beginning(KEY))
    assert (await proof(stores, await end(stores))).sound
    assert not (await proof(stores)).sound


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_check_64_every_alteration_is_found(stores: Stores, change: str) -> None:
    kept = await fill(stores)
    assert (await proof(stores, kept)).sound
    await stores.database.fetch(change)
    try:
        assert not (await proof(stores, kept)).sound
        assert not (await proof(stores)).sound
    finally:
        await stores.database.fetch(
            "INSERT INTO audit_head (number, hash, seal) VALUES (0, '', '') ON CONFLICT DO NOTHING"
        )


async def test_check_64_an_older_end_that_was_sealed_once_is_found_by_a_checkpoint_kept_elsewhere(
    stores: Stores,
) -> None:
    await fill(stores, 3)
    old = (await stores.database.fetch("SELECT number, hash, seal FROM audit_head"))[0]
    kept = await fill(stores, 2)
    await stores.database.fetch("DELETE FROM audit_log WHERE number > 3")
    await stores.database.fetch("UPDATE audit_head SET number = $1, hash = $2, seal = $3", *old)
    assert (await proof(stores)).sound, (
        "without the checkpoint nobody can tell; the documents say so"
    )
    assert not (await proof(stores, kept)).sound
    with pytest.raises(BadInput):
        await proof(stores, Checkpoint(kept.number + 1, kept.hash, kept.seal))


async def _fails(_connection: object) -> None:
    raise Unavailable("the audit log cannot be written")


async def test_a_change_and_its_record_come_together_or_not_at_all(stores: Stores) -> None:
    record = revisions.signed(read_sources(), KEY, author="pia")
    steps: list[Callable[[], Awaitable[object]]] = [
        lambda: stores.revisions.add(record, audit=_fails),
        lambda: stores.shadows.start(record.revision, "pia", back=0, audit=_fails),
    ]
    with pytest.raises(Unavailable):
        await steps[0]()
    assert await stores.revisions.get(record.revision) is None
    writer = stores.audit_log.writer(
        sealing(KEY, AuditDraft("pia", "t", "policy.upload", record.revision))
    )
    assert await stores.revisions.add(record, audit=writer)
    assert not await stores.revisions.add(record, audit=writer), (
        "what changes nothing is not recorded"
    )
    with pytest.raises(Unavailable):
        await steps[1]()
    assert await stores.shadows.find() is None
    await stores.shadows.start(record.revision, "pia", back=0)
    with pytest.raises(Unavailable):
        await stores.shadows.end(record.revision, audit=_fails)
    assert await stores.shadows.find() is not None
    new = revisions.activation(None, record.revision, KEY, author="pia")
    with pytest.raises(Unavailable):
        await stores.revisions.activate(new, audit=_fails)
    assert await stores.revisions.current() is None
    assert (await proof(stores)).entries == 1


async def test_the_command(
    stores: Stores,
    servers: Servers,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key_file, kept = tmp_path / "key", tmp_path / "kept.json"
    key_file.write_bytes(KEY)
    key_file.chmod(0o600)
    await fill(stores)
    where = ["--source", servers.settings.postgres.dsn, "--key-file", str(key_file)]
    monkeypatch.setenv("EYRIE_DATA_DIR", str(tmp_path))

    async def eyrie(*arguments: str) -> tuple[int, str]:
        code = await asyncio.to_thread(main, ["audit", "log", *arguments, *where])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    code, out = await eyrie()
    assert (code, "ada" in out, "policy.activate" in out) == (0, True, True)
    code, out = await eyrie("show", "--limit", "2", "--json")
    assert [entry["number"] for entry in json.loads(out)] == [5, 4]
    code, out = await eyrie("checkpoint")
    kept.write_text(out)
    code, out = await eyrie("verify", "--checkpoint", str(kept))
    assert (code, "6 entries: sound" in out) == (0, True)
    code, out = await eyrie("verify")
    assert (code, "there is no checkpoint" in out) == (2, True)
    assert (await eyrie("verify", "--without-checkpoint"))[0] == 0
    (tmp_path / "audit-checkpoint.json").write_text(kept.read_text())
    assert (await eyrie("verify"))[0] == 0
    await stores.database.fetch(CHANGES["truncated"])
    code, out = await eyrie("verify", "--json")
    assert (code, json.loads(out)["sound"]) == (1, False)
    code, out = await eyrie("verify")
    assert (code, "was altered" in out) == (1, True)
    kept.write_text("{}")
    code, out = await eyrie("verify", "--checkpoint", str(kept))
    assert (code, "is no checkpoint" in out) == (2, True)
