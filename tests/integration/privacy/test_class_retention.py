"""Retention by class on real stores: what goes, what a hold keeps, and what a crash leaves."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.core.errors import Unavailable
from cluster.cli.main import main
from privacy.keep_rules import KeepRules
from privacy.retention import ClassRetention, plan
from storage.keyring import FolderKeyring
from storage.ports.policy import Audit
from tests.support.privacy.rig import FIRST, SECOND, Crash, Rig, no_audit


class Job:
    """Keeps its progress in the database's transaction of its effect. `breaks`: its process ends
    at the note of that number."""

    def __init__(self, rig: Rig, progress: dict[str, Any] | None = None, breaks: int = 0) -> None:
        self.progress = progress or {}
        self._rig = rig
        self._left = breaks

    async def note(self, progress: dict[str, Any], effect: Audit | None = None) -> None:
        self._left -= 1
        if self._left == 0:
            raise Crash
        if effect is not None:
            async with self._rig.stores.database.transaction(writing=True) as connection:
                await effect(connection)
        self.progress = progress


def retention(rig: Rig, *rules: str, keyring: FolderKeyring | None = None) -> ClassRetention:
    stores, key_file = rig.stores, rig.settings.policy.key_file
    keys = keyring or rig.keys
    return ClassRetention(stores.database, keys, stores.audit_log, KeepRules(rules), key_file)


async def receipts(rig: Rig) -> list[str]:
    entries = await rig.stores.audit_log.before(2**62, 100)
    return [entry.detail for entry in entries if entry.action == "privacy.retention"]


async def test_one_class_of_one_camera_goes_and_its_neighbours_stay(rig: Rig) -> None:
    found = await plan(rig.stores.database, rig.keys, KeepRules(["plates@*/cam-1=1"]))
    assert [(one.class_, one.camera, one.keys) for one in found] == [("plates", "cam-1", 1)]
    done = await retention(rig, "plates@*/cam-1=1").run(Job(rig))
    assert (done["keys"], done["held"]) == (1, 0)
    shown = await rig.shown()
    assert [one["data"]["plate"] for one in shown] == [{"erased": "plates"}] * 2
    assert [one["data"]["name"] for one in shown] == [FIRST["name"], SECOND["name"]]
    assert "QX-PLANT-3" in str(await rig.shown("cam-2"))
    (receipt,) = await receipts(rig)
    assert receipt.startswith(f"1 keys, {done['values']} values of plates at 1 cameras")
    left = "SELECT count(*) FROM event_personal WHERE camera = 'cam-1' AND class = 'plates'"
    assert await rig.stores.database.fetch_value(left) == 0
    assert await retention(rig, "plates@*/cam-1=1").run(Job(rig)) == {
        "keys": 0,
        "values": 0,
        "held": 0,
    }
    assert len(await receipts(rig)) == 1


async def test_a_hold_wins_and_is_told(rig: Rig) -> None:
    scope = msgspec.structs.replace(rig.hold().scope, cameras=("cam-1",))
    await rig.requests.place_hold(rig.hold(scope=scope), audit=no_audit)
    done = await retention(rig, "plates=1").run(Job(rig))
    assert (done["keys"], done["held"]) == (1, 1)
    assert [one["data"]["plate"] for one in await rig.shown()] == [FIRST["plate"], SECOND["plate"]]
    assert "QX-PLANT-3" not in str(await rig.shown("cam-2"))
    (left,) = await plan(rig.stores.database, rig.keys, KeepRules(["plates=1"]))
    assert (left.camera, left.keys, left.held, left.late) == ("cam-1", 1, 1, 0)
    assert await rig.requests.release_hold("h1", "cy", audit=no_audit)
    assert (await retention(rig, "plates=1").run(Job(rig)))["keys"] == 1


async def test_an_attempt_after_a_crash_leaves_the_receipt(rig: Rig) -> None:
    job = Job(rig, breaks=2)
    with pytest.raises(Crash):
        await retention(rig, "plates=1").run(job)
    assert await receipts(rig) == []
    await retention(rig, "plates=1").run(Job(rig, job.progress))
    (receipt,) = await receipts(rig)
    assert receipt.startswith("2 keys, ")


async def test_what_outlives_its_class_fails_the_job(rig: Rig) -> None:
    class Stubborn(FolderKeyring):
        """A key management service that says yes and does nothing."""

        async def destroy(self, ids: Any) -> list[str]:
            return []

    with pytest.raises(Unavailable, match="outlive their class"):
        await retention(rig, "plates=1", keyring=Stubborn(rig.folder)).run(Job(rig))


async def test_the_command_tells_what_is_over_and_fails_where_it_should_be_gone(
    rig: Rig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "eyrie.toml"

    async def say(*keep: str) -> tuple[int, Any]:
        rules = json.dumps(keep)
        config.write_text(f'[events]\nkeyring_dir = "{rig.folder}"\n[personal]\nkeep = {rules}\n')
        dsn = rig.settings.postgres.dsn
        words = ["privacy", "retention", "--json", "--config", str(config), "--source", dsn]
        code = await asyncio.to_thread(main, words)
        return code, json.loads(capsys.readouterr().out)

    code, told = await say("plates=1", "plates@*/cam-2=9000")
    assert (code, told["keys"], told["late"]) == (1, 2, 2), "nobody erased them for months"
    assert [one["camera"] for one in told["over"]] == ["cam-1", "cam-2"]
    assert (await say("plates=9000"))[0] == 0
    await retention(rig, "plates=1").run(Job(rig))
    assert await say("plates=1") == (0, {"keep": ["plates=1"], "over": [], "keys": 0, "late": 0})
