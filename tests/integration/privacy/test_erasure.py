"""Erasing one person of several whose values lie under one key: it resumes wherever its process
ended, its receipt is verified by anybody, and a database restored from before it stays erased."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.core.errors import BadInput
from privacy import receipts, records
from privacy.erasure import STEPS
from tests.support.privacy.rig import SECOND, THIRD, Breaking, Crash, Rig, no_audit

ERASED = {
    "text": {"erased": "text"},
    "data": {"plate": {"erased": "plates"}, "name": {"erased": "names"}, "lane": 1},
}
COPIED = "CREATE TABLE copied AS SELECT * FROM event_personal"


async def is_erased(rig: Rig) -> None:
    """The first person is, and nobody else."""
    assert await rig.shown() == [ERASED, {"data": SECOND}]
    assert await rig.shown("cam-2") == [{"data": THIRD}]


async def test_one_person_goes_and_the_others_stay(rig: Rig) -> None:
    hashes = [row.hash for row in await rig.events.latest("cam-1", 10)]
    before = set(await rig.keys.ids())
    found = await rig.carried_out(await rig.approved("qx plant 1", "ada plantson"))
    assert (found.state, found.places) == ("done", 3)
    await is_erased(rig)
    assert [row.hash for row in await rig.events.latest("cam-1", 10)] == hashes
    # Whoever keeps the old ciphertext has nothing: its keys are gone, of cam-1 all of them.
    old = {name for name in before if "/cam-1/" in name}
    assert {name for name in old if "/letters/" not in name} == set(found.keys)
    assert await rig.keys.find(list(old)) == dict.fromkeys(old)
    assert before - old <= set(await rig.keys.ids())
    (letter,) = await rig.letters.list()
    assert (letter.raw, letter.detail, letter.status, letter.reason) == (
        b"",
        "",
        "discarded",
        "erased",
    )
    actions = await rig.stores.database.fetch(
        "SELECT action, target, detail FROM audit_log WHERE number > 0"
    )
    assert [tuple(row) for row in actions] == [("privacy.erased", found.id, "3 values, 3 keys")]


async def test_an_erasure_of_all_takes_camera_and_time(rig: Rig) -> None:
    found = await rig.carried_out(await rig.approved())
    assert (found.state, found.places) == ("done", 6)
    assert await rig.stores.database.fetch("SELECT 1 FROM event_personal") == []
    assert [one["data"]["plate"] for one in await rig.shown()] == [{"erased": "plates"}] * 2


QUICK = (("values", False), ("keys", True))
POINTS = [
    pytest.param(step, noted, marks=[] if (step, noted) in QUICK else pytest.mark.prove)
    for step in STEPS
    for noted in (False, True)
]


@pytest.mark.parametrize(("step", "noted"), POINTS)
async def test_it_goes_on_where_its_process_ended(rig: Rig, step: str, noted: bool) -> None:
    id = await rig.approved("QX-PLANT-1", "Ada Plantson")
    job = await rig.job()
    with pytest.raises(Crash):
        await rig.erasure(id).run(Breaking(job, step, noted=noted))
    kept = records.receipt_of(rig.folder, id)
    await rig.stores.jobs.give_back([job.job.claim])
    found = await rig.carried_out(id)
    assert found.state == "done"
    await is_erased(rig)
    if kept:  # it was signed: it says one thing once
        assert found.receipt == kept
    rows = await rig.stores.database.fetch(
        "SELECT 1 FROM audit_log WHERE action = 'privacy.erased'"
    )
    assert len(rows) == 1


async def test_nobody_approves_what_they_asked_for(rig: Rig) -> None:
    id = await rig.asked("QX-PLANT-1", by="ann")
    assert not await rig.requests.approve(id, "ann", audit=no_audit)
    assert (await rig.request(id)).state == "asked"
    assert await rig.stores.jobs.list() == []
    assert await rig.requests.approve(id, "bea", audit=no_audit)
    assert not await rig.requests.approve(id, "cy", audit=no_audit)


async def test_a_stranger_verifies_the_receipt(rig: Rig) -> None:
    found = await rig.carried_out(await rig.approved("QX-PLANT-1"))
    text, key = found.receipt.encode(), receipts.public_key(rig.folder)
    said = receipts.verify(text, key)
    assert (said["request"], said["asked_by"], said["approved_by"]) == (found.id, "ann", "bea")
    assert set(said["done"]) == {"record", "values", "keys", "letters", "redis"}
    assert said["done"]["values"] == {"values": 2, "moved": 1, "broken": 0}
    rows = await rig.cameras.ownership(["cam-1", "cam-2"])
    assert {one["camera"]: one["hash"] for one in said["chains"]} == {
        camera: row.position.chain.hex() for camera, row in rows.items()
    }
    assert "QX-PLANT" not in found.receipt
    for wrong in (text.replace(b'"ann"', b'"eve"'), text[:-9] + text[-2:], b"{}"):
        with pytest.raises(BadInput):
            receipts.verify(wrong, key)
    with pytest.raises(BadInput, match="another key"):
        receipts.verify(text, "00" * 32)


@pytest.mark.parametrize(
    ("finished", "keyring_too"),
    [
        (True, False),
        pytest.param(True, True, marks=pytest.mark.prove),
        pytest.param(False, False, marks=pytest.mark.prove),
        (False, True),
    ],
)
async def test_a_restored_database_stays_erased(
    rig: Rig, finished: bool, keyring_too: bool, tmp_path: Path
) -> None:
    """With the keyring of today, and with keys that came back from a backup of it too."""
    database = rig.stores.database
    await database.fetch("DROP TABLE IF EXISTS copied")
    await database.fetch(COPIED)
    old = await rig.keys.find(await rig.keys.ids())
    id = await rig.approved("QX-PLANT-1", "Ada Plantson")
    if finished:
        await rig.carried_out(id)
    else:
        with pytest.raises(Crash):
            await rig.erasure(id).run(Breaking(await rig.job(), "values", noted=True))
    await database.fetch("TRUNCATE event_personal, privacy_requests, privacy_places, jobs")
    await database.fetch("INSERT INTO event_personal SELECT * FROM copied")
    await database.fetch("DROP TABLE copied")
    if keyring_too:
        for name, secret in old.items():
            assert secret is not None
            path = rig.folder / f"{name}.key"
            path.write_bytes(secret)
            path.chmod(0o600)
            path.with_suffix(".destroyed").unlink(missing_ok=True)
    rig.keys = type(rig.keys)(rig.folder)
    assert await rig.replay() == [id]
    assert await rig.replay() == []
    request = await rig.request(id)
    assert (request.state, bool(request.receipt)) == (
        ("done", True) if finished else ("executing", False)
    )
    rows = await database.fetch(
        "SELECT key FROM event_personal WHERE camera = 'cam-1' AND \"offset\" = 1"
    )
    assert rows == []
    again = Rig(rig.stores, rig.settings, tmp_path)
    data: list[dict[str, Any]] = await again.shown()
    assert data[0] == ERASED
    # What lay under the destroyed keys is lost to a restored database, unless they came back too.
    assert (data[1] == {"data": SECOND}) is (keyring_too or not finished)
    assert await again.shown("cam-2") == [{"data": THIRD}]
    if not finished:
        assert (await rig.carried_out(id)).state == "done"


async def test_no_request_and_no_record_holds_a_value(rig: Rig) -> None:
    found = await rig.carried_out(await rig.approved("QX-PLANT-1", "Ada Plantson"))
    written = [path.read_bytes() for path in (rig.folder / "erasures").iterdir()]
    rows = await rig.stores.database.fetch("SELECT * FROM privacy_requests, privacy_places")
    for said in [*written, str(rows).encode(), msgspec.json.encode(found)]:
        assert not any(word in said.lower() for word in (b"qx-plant", b"qxplant", b"ada"))
