"""Attack 10: who writes to the database empties the audit log, or cuts it off. It verifies as sound
no more, whatever is written after."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest

from actors.core.errors import Conflict
from actors.core.settings import DataSettings, PolicySettings, Settings
from cluster import audit_checkpoint
from cluster.cli.main import main
from cluster.launcher.setup import prepare_stores
from policy.identity.keys import ensure_secret
from storage.embedded.data_dir import of
from storage.stores import Stores
from tests.support.hub.hub import TestHub, running_hub
from tests.support.hub.real_policy import real_policy
from tests.support.servers.store_fixtures import Servers

NO_HEAD = "UPDATE audit_head SET number = 0, hash = decode(repeat('00', 32), 'hex'), seal = ''"
HEAD = "SELECT number, hash, seal FROM audit_head"
OLD_END = "UPDATE audit_head SET number = $1, hash = $2, seal = $3"

Verify = Callable[[], Awaitable[int]]


@pytest.fixture
def settings(servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Those of an `eyrie up` on these servers; the command finds its data directory."""
    ensure_secret(tmp_path / "policy.secret")
    monkeypatch.setenv("EYRIE_DATA_DIR", str(tmp_path))
    return msgspec.structs.replace(
        servers.settings,
        data=DataSettings(dir=str(tmp_path)),
        policy=PolicySettings(key_file=str(tmp_path / "policy.secret")),
    )


async def verify(settings: Settings, *options: str) -> int:
    arguments = [
        "audit",
        "log",
        "verify",
        "--source",
        settings.postgres.dsn,
        "--key-file",
        settings.policy.key_file,
        *options,
    ]
    return await asyncio.to_thread(main, arguments)


@asynccontextmanager
async def begun(settings: Settings, stores: Stores) -> AsyncIterator[TestHub]:
    """A deployment that was set up, and in which somebody has changed something."""
    await asyncio.to_thread(prepare_stores, settings)
    folder = of(settings).path
    async with running_hub(
        folder, decider=real_policy(), policy_store=stores.policy, audit_log=stores.audit_log
    ) as hub:
        await revoke(hub, "1")
        await asyncio.to_thread(audit_checkpoint.look, settings)
        yield hub


async def revoke(hub: TestHub, jti: str, **token: object) -> int:
    headers = {"authorization": f"Bearer {hub.token('pia', **({'roles': ['privacy']} | token))}"}
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{hub.port}", headers=headers, timeout=30, trust_env=False
    ) as http:
        return (await http.post("/v1/revocations", json={"jti": jti})).status_code


async def test_attack_10_an_emptied_log_never_verifies_again(
    settings: Settings, stores: Stores
) -> None:
    async with begun(settings, stores) as hub:
        kept = of(settings).audit_checkpoint
        before = kept.read_bytes()
        assert (json.loads(before)["number"], kept.stat().st_mode & 0o777) == (1, 0o600)
        assert await verify(settings) == 0
        await stores.database.fetch("DELETE FROM audit_log")
        await stores.database.fetch(NO_HEAD)
        assert await verify(settings) == 1
        with pytest.raises(Conflict):
            await asyncio.to_thread(audit_checkpoint.look, settings)
        await asyncio.to_thread(prepare_stores, settings)
        assert await verify(settings) == 1, "the next start begins no new log where there was one"
        for number in range(3):
            assert await revoke(hub, f"later-{number}") == 201, "it goes on recording"
            with pytest.raises(Conflict):
                await asyncio.to_thread(audit_checkpoint.look, settings)
            assert await verify(settings) == 1
        assert kept.read_bytes() == before
        kept.unlink()
        assert await verify(settings) == 2, "without a checkpoint nobody says that it is sound"
        arguments = [
            "--source",
            settings.postgres.dsn,
            "--key-file",
            settings.policy.key_file,
            "--without-checkpoint",
        ]
        assert await asyncio.to_thread(main, ["audit", "log", "verify", *arguments]) == 1, (
            "nor is it: its beginning is gone"
        )


async def test_attack_10_an_older_end_that_was_sealed_once_does_not_verify(
    settings: Settings, stores: Stores
) -> None:
    async with begun(settings, stores) as hub:
        old = (await stores.database.fetch(HEAD))[0]
        for jti in "234":
            await revoke(hub, jti)
        writer = audit_checkpoint.CheckpointWriter(print)
        writer.start(settings)
        await asyncio.to_thread(writer.stop)
        kept = audit_checkpoint.read(of(settings).audit_checkpoint)
        assert (kept.number, base64.b64decode(kept.hash)) == (
            4,
            (await stores.database.fetch(HEAD))[0]["hash"],
        )
        assert await verify(settings) == 0
        await stores.database.fetch("DELETE FROM audit_log WHERE number > 1")
        await stores.database.fetch(OLD_END, *old)
        assert await verify(settings) == 1
        told: list[str] = []
        writer = audit_checkpoint.CheckpointWriter(told.append)
        writer.start(settings)
        await asyncio.to_thread(writer.stop)
        assert len(told) == 1
        assert "no longer contains the entry 4" in told[0]
        assert "older backup" in told[0]
        for jti in "5678":
            await revoke(hub, jti)
        assert await verify(settings) == 1, (
            "what was written in place of the entries that are gone is not them"
        )


async def test_attack_10_who_restores_an_older_backup_is_told_so_and_what_to_do(
    settings: Settings, stores: Stores, capsys: pytest.CaptureFixture[str]
) -> None:
    async with begun(settings, stores) as hub:
        backup = (await stores.database.fetch(HEAD))[0]
        for jti in "23":
            await revoke(hub, jti)
        await asyncio.to_thread(audit_checkpoint.look, settings)
        await stores.database.fetch("DELETE FROM audit_log WHERE number > 1")
        await stores.database.fetch(OLD_END, *backup)
        kept = of(settings).audit_checkpoint
        time = json.loads(kept.read_bytes())["time"]
        capsys.readouterr()
        assert await verify(settings, "--json") == 1
        (said,) = json.loads(capsys.readouterr().out)["findings"]
        assert all(part in said for part in ("entry 3", time, "older backup", kept.name))
        with pytest.raises(Conflict, match="older backup"):
            await asyncio.to_thread(audit_checkpoint.look, settings)
        kept.unlink()
        await asyncio.to_thread(audit_checkpoint.look, settings)
        await revoke(hub, "4")
        assert await verify(settings) == 0, "from then on it is watched anew"
        await stores.database.fetch("UPDATE audit_log SET who = 'eve' WHERE number = 1")
        capsys.readouterr()
        assert await verify(settings, "--json") == 1
        assert "older backup" not in capsys.readouterr().out, (
            "what no backup explains is called none"
        )


@pytest.mark.parametrize(
    "token",
    [
        {"roles": ["viewer"]},
        {"roles": ["admin"], "sites": ["north"]},
        {"roles": ["guest"]},
        {"roles": ["edge"], "typ": "edge"},
    ],
    ids=["viewer", "admin of one site", "guest", "device"],
)
async def test_attack_10_nobody_else_reads_or_fills_the_log(
    settings: Settings, stores: Stores, token: dict[str, object]
) -> None:
    async with begun(settings, stores) as hub:
        assert await revoke(hub, "x", **token) in (401, 403)
        headers = {"authorization": f"Bearer {hub.token('eve', **token)}"}
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{hub.port}", headers=headers, timeout=30, trust_env=False
        ) as http:
            assert (await http.get("/v1/audit")).status_code in (401, 403)
        assert (await stores.database.fetch(HEAD))[0]["number"] == 1
