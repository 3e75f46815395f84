"""Planted values enter by every way into the stores; after their erasure a search through tables,
indexes, the write-ahead log, Redis, dead letters, exports, logs and what lies outside of the
database finds none. `docs/privacy.md` lists the places."""

import logging
import random
from pathlib import Path
from typing import Any

import pytest

from actors.core.messages.personal_search import wanted_of
from storage.events.archive import read_archive
from tests.support.privacy.planted import CAMERAS, Planted, enter, in_files, in_redis, in_rows
from tests.support.privacy.rig import EVERYTHING, Rig
from tests.support.servers.store_fixtures import Servers


@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.prove)])
async def test_nothing_of_them_is_left_but_ciphertext(
    rig: Rig,
    servers: Servers,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    count: int,
    record_property: Any,
) -> None:
    caplog.set_level(logging.DEBUG)
    seed = random.randrange(2**32)
    record_property("seed", seed)
    logging.getLogger("test.planted").info("seed %d", seed)
    planted = Planted(seed, count)
    rows = await rig.cameras.ownership(CAMERAS)
    at = {camera: (row.generation, row.position) for camera, row in rows.items()}
    await enter(rig, planted, at)
    database, url = rig.stores.database, servers.settings.redis.url
    folder = Path(str(await database.fetch_value("SHOW data_directory")))

    # They are there: shown, found, in Redis, in letters. In PostgreSQL only as ciphertext.
    shown = str([*await rig.shown("cam-1"), *await rig.shown("cam-2"), *await rig.letters.list()])
    assert all(word in shown for word in planted.words[::6])
    for word in planted.words[:6]:
        assert (await rig.requests.search(EVERYTHING, wanted_of([word]))).places
    assert len(await in_redis(url, planted)) >= 5
    await database.fetch("CHECKPOINT")
    assert await in_files(folder, planted, tmp_path / "patterns") == []

    found = await rig.carried_out(await rig.approved())
    assert (found.state, found.places >= count) == ("done", True)

    assert await in_redis(url, planted) == []
    tables = await database.fetch(
        "SELECT c.oid::regclass::text AS name FROM pg_class c "
        "WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace"
    )
    for table in tables:
        said = await database.fetch(f"SELECT * FROM {table['name']}")
        assert in_rows(said, planted) == [], table["name"]
    await database.fetch("CHECKPOINT")
    for place in (folder, rig.folder):
        assert await in_files(place, planted, tmp_path / "patterns") == []
    exported = [str(one) async for one in read_archive(servers.settings.postgres)]
    again = [*await rig.shown("cam-1"), *await rig.shown("cam-2"), *await rig.letters.list()]
    for said in (str(exported), str(again), caplog.text, found.receipt):
        assert planted.in_bytes(said.encode()) == []
    assert not [name for name in await rig.keys.ids() if name in found.keys]


async def test_a_letter_that_was_not_meant_is_read_under_another_key(rig: Rig) -> None:
    day = 86_400_000_000
    start = EVERYTHING.since_us - EVERYTHING.since_us % day
    await rig.letters.add("cam-1", "s1", "bad", "QX-OTHER here", b"QX-OTHER", start)
    (before,) = [name for name in await rig.keys.ids() if "/cam-1/letters/" in name]
    await rig.carried_out(await rig.approved("QX-PLANT-1"))
    first, other = await rig.letters.list()
    assert (first.raw, first.reason) == (b"", "erased")
    assert (other.raw, other.detail, other.status) == (b"QX-OTHER", "QX-OTHER here", "new")
    (after,) = [name for name in await rig.keys.ids() if "/cam-1/letters/" in name]
    assert (before.rpartition("/")[2], after.rpartition("/")[2]) == ("1", "2")


async def test_a_letter_opens_only_where_it_was_stored(rig: Rig) -> None:
    (letter,) = await rig.letters.list()
    assert letter.detail == "unknown field QX-PLANT-1"
    await rig.stores.database.fetch("UPDATE dead_letters SET session = 'another'")
    (moved,) = await rig.letters.list()
    assert (moved.raw, moved.detail) == (b"", "what is stored is not genuine")
    await rig.keys.destroy([name for name in await rig.keys.ids() if "/letters/" in name])
    (gone,) = await rig.letters.list()
    assert (gone.raw, gone.detail) == (b"", "erased")
