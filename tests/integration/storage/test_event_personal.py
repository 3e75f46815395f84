"""What lies in PostgreSQL of a personal value: ciphertext alone, in the tables and in the log,
bound to its event; and what is left of it when its key is gone."""

import asyncio
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.core.errors import ConfigError, Unavailable
from actors.core.messages.events import CHAIN_START, published
from cluster.event_proofs import AuditEvent, CameraTotals, verify
from cluster.supervisor.upkeep.partitions import PostgresPartitions
from storage.events.events import PostgresEventStore
from storage.events.personal_retention import ErasedDays, erase_old
from storage.keyring import FolderKeyring
from storage.postgres.cameras import PostgresCameraStore
from storage.stores import Stores
from tests.support.servers.store_fixtures import Servers
from tests.support.store_rows import RECEIVED_US, alarm_of, event_of, row_of, running

PLATE, NAME = "QX-PLANT-4711", "Zebulon Plantperson"
PLANTED = (PLATE, NAME, "qxplant4711")
DATA = {"plate": PLATE, "name": NAME, "lane": 2}
TEXT = f"{NAME} left in {PLATE}"


class Rig:
    """One camera, and a keyring of this test."""

    def __init__(self, stores: Stores, folder: Path) -> None:
        self.stores = stores
        self.keys = FolderKeyring(folder)
        self.cameras = PostgresCameraStore(stores.database, self.keys)
        self.events = PostgresEventStore(stores.database, self.keys)
        self.tables = ""

    async def plant(self, *, label: str | None = None) -> None:
        """Commit an alarm that says plate, name and a text with both, and a plain event after
        it."""
        at = await running(self.stores.registry, self.cameras, ["cam-1"])
        generation, position = at["cam-1"]
        alarm = alarm_of("cam-1", position, DATA, text=TEXT)
        after = msgspec.structs.replace(position, last_offset=1, chain=alarm.hash)
        row = row_of("cam-1", generation, position, events=[alarm, event_of("cam-1", after)])
        assert await self.cameras.commit([row]) == {"cam-1"}

    async def shown(self, events: PostgresEventStore | None = None) -> dict[str, Any]:
        """The `data` of the alarm."""
        row = (await (events or self.events).latest("cam-1", 10))[0]
        found: dict[str, Any] = msgspec.json.decode(published(row.body, row.hash, row.personal))
        return dict(found["data"])

    async def key_ids(self) -> list[str]:
        """Of the values that are stored."""
        rows = await self.stores.database.fetch("SELECT DISTINCT key FROM event_personal")
        return sorted(row["key"] for row in rows)


@pytest.fixture
async def rig(stores: Stores, tmp_path: Path) -> Rig:
    """With a planted alarm."""
    made = Rig(stores, tmp_path / "keys")
    await made.plant()
    return made


ERASED = {
    "text": {"erased": "text"},
    "data": {"plate": {"erased": "plates"}, "name": {"erased": "names"}, "lane": 2},
}


async def test_only_ciphertext_lies_in_tables_and_log(rig: Rig, servers: Servers) -> None:
    assert await rig.shown() == {"text": TEXT, "data": DATA}
    database = rig.stores.database
    tables = await database.fetch(
        "SELECT c.oid::regclass::text AS name FROM pg_class c "
        "WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace"
    )
    looked = 0
    for table in tables:
        for row in await database.fetch(f"SELECT * FROM {table['name']}"):
            looked += 1
            for value in row.values():
                said = value if isinstance(value, bytes) else str(value).encode()
                assert not any(word.encode() in said for word in PLANTED), table["name"]
    assert looked > 5
    await database.fetch("CHECKPOINT")
    folder = str(await database.fetch_value("SHOW data_directory"))
    for word, found in ((PLATE, False), (NAME, False), ("cam-1/", True)):
        grep = await asyncio.to_thread(
            subprocess.run,
            ["grep", "-rqaF", "--", word, folder],
            check=False,
            capture_output=True,
        )
        assert (grep.returncode == 0) is found, f"{word} in {folder}: {grep.stderr!r}"


async def test_who_destroys_a_key_erases_its_values_and_no_other(rig: Rig) -> None:
    before = [row.hash for row in await rig.events.latest("cam-1", 10)]
    (plates,) = [key for key in await rig.key_ids() if "/plates/" in key]
    await rig.keys.destroy([plates])
    told = await rig.shown()
    assert told["data"] == {**DATA, "plate": {"erased": "plates"}}
    await rig.keys.destroy(await rig.key_ids())
    assert await rig.shown() == ERASED
    assert [row.hash for row in await rig.events.latest("cam-1", 10)] == before


async def test_rows_that_are_gone_are_told_as_erased(rig: Rig) -> None:
    await rig.stores.database.fetch("DELETE FROM event_personal")
    assert await rig.shown() == ERASED


async def test_a_key_that_is_nowhere_is_told_apart_from_one_that_was_destroyed(
    rig: Rig, tmp_path: Path
) -> None:
    elsewhere = PostgresEventStore(rig.stores.database, FolderKeyring(tmp_path / "other"))
    told = await rig.shown(elsewhere)
    assert told["text"] == {"unavailable": "text"}
    assert told["data"]["plate"] == {"unavailable": "plates"}
    assert told["data"]["lane"] == 2


async def test_a_value_that_was_moved_or_forged_is_not_shown(rig: Rig) -> None:
    await rig.stores.database.fetch(
        "UPDATE event_personal SET sealed = n.sealed FROM event_personal n "
        "WHERE n.class = 'names' AND event_personal.class = 'plates'"
    )
    told = await rig.shown()
    assert told["data"] == {**DATA, "plate": {"unavailable": "plates"}}
    await rig.stores.database.fetch('UPDATE event_personal SET "offset" = 7')
    assert await rig.shown() == ERASED


async def test_the_chain_verifies_whole_and_erased(rig: Rig) -> None:
    async def verdict() -> tuple[int, bool]:
        records: list[AuditEvent | CameraTotals] = [
            AuditEvent(row.camera, row.epoch, row.offset, row.body.decode(), row.hash.hex())
            async for row in rig.events.export()
        ]
        assert not any(word in str(records) for word in PLANTED)
        at = (await rig.cameras.ownership(["cam-1"]))["cam-1"].position
        records.append(
            CameraTotals(
                "cam-1", at.session, at.last_seq, at.epoch, at.last_offset, at.chain.hex(), {}, {}
            )
        )
        found = verify(records)
        return found.events, found.green

    assert await verdict() == (2, True)
    await rig.keys.destroy(await rig.keys.ids())
    await rig.stores.database.fetch("DELETE FROM event_personal")
    assert await verdict() == (2, True)
    await rig.stores.database.fetch(
        "UPDATE events SET body = overlay(body PLACING '!' FROM 20) WHERE \"offset\" = 1"
    )
    assert await verdict() == (2, False)


async def test_without_a_keyring_nothing_personal_is_committed(
    stores: Stores, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    rig = Rig(stores, tmp_path / "file")
    with pytest.raises(Unavailable, match="keyring"):
        await rig.plant()
    rig.cameras = PostgresCameraStore(stores.database)
    at = (await rig.cameras.ownership(["cam-1"]))["cam-1"]
    alarm = alarm_of("cam-1", at.position, DATA)
    with pytest.raises(ConfigError, match="keyring"):
        await rig.cameras.commit([row_of("cam-1", at.generation, at.position, events=[alarm])])
    assert (await rig.cameras.ownership(["cam-1"]))["cam-1"].position.chain == CHAIN_START
    assert await rig.events.latest("cam-1", 10) == []


async def test_days_that_are_dropped_take_their_values_and_keys_along(rig: Rig) -> None:
    day = datetime.fromtimestamp(RECEIVED_US // 1_000_000, UTC).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    copies = await rig.stores.database.fetch("SELECT * FROM event_personal")
    assert await erase_old(rig.stores.database, rig.keys, day) == ErasedDays(0, 0)
    assert await rig.shown() == {"text": TEXT, "data": DATA}
    report = await PostgresPartitions(rig.stores.database, rig.keys).drop(1)
    assert report.before > day
    assert await rig.keys.ids() == []
    assert await rig.stores.database.fetch("SELECT * FROM event_personal") == []
    found = await rig.keys.find({copy["key"] for copy in copies})
    assert found == {copy["key"]: None for copy in copies}
    assert len(found) == 3
