"""What goes wrong with backups: kills, a Redis that is ahead, the data of the last release."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from actors.activation import activate
from actors.core.messages.commits import Position
from actors.core.settings import PostgresSettings, Settings
from storage.backups.backups import BASE, PARTIAL
from storage.embedded.data_dir import DataDir, start_time
from storage.embedded.postgres import EmbeddedPostgres
from storage.migrations import known, migrate
from storage.ports.live import LiveEvent
from storage.postgres.cameras import PostgresCameraStore
from storage.postgres.pool import Database
from storage.process.settings_files import write_resolved
from storage.stores import Stores
from tests.support.backup_places import (
    CAMERAS,
    EVENTS,
    Say,
    advance,
    filled,
    in_new_epochs,
    names,
    place,
    restored,
    say,
    served,
    settings_for,
)
from tests.support.store_rows import OWNER
from tests.support.waiting import block_until

__all__ = ["place", "say"]

pytestmark = [pytest.mark.prove, pytest.mark.timeout(900)]  # many servers, one after another
LAST_RELEASE = Path(__file__).parents[2] / "fixtures" / "eyrie-20261201T030653Z"


@pytest.mark.parametrize("victim", ["eyrie", "pg_basebackup"])
def test_a_killed_backup_leaves_none_and_its_program_does_not_live_on(
    place: Path, say: Say, victim: str
) -> None:
    """It is killed while it waits for the checkpoint that begins it, which we hold back."""
    data, _ = filled(place)
    server = EmbeddedPostgres(data, max_connections=30)
    server.start()
    to, runs = place / "backups", Settings(postgres=PostgresSettings(dsn=server.dsn))
    write_resolved(data.settings_file, runs)
    (checkpointer,) = asyncio.run(asked(server.dsn, "checkpointer"))
    os.kill(checkpointer, signal.SIGSTOP)
    try:
        words = ["-m", "cluster.cli.main", "backup", "take", "--to", str(to)]
        process = subprocess.Popen([sys.executable, *words, "--data-dir", str(data.path)])
        block_until(lambda: any(to.glob(f"*{PARTIAL}/{BASE}")), "the begun backup", within_s=120)
        block_until(
            lambda: asyncio.run(asked(server.dsn, "walsender")),
            "the waiting server process",
            within_s=120,
        )
        (child,) = children(process.pid)
        os.kill(process.pid if victim == "eyrie" else child, signal.SIGKILL)
        assert process.wait(60) != 0
        block_until(lambda: not alive(child), "the end of its program", within_s=120)
        assert say("backup", "list", "--to", to)[1] == []
    finally:
        os.kill(checkpointer, signal.SIGCONT)
    try:
        code, made, _ = say("backup", "take", "--to", to, "--data-dir", data.path)
        assert (code, [path.name for path in to.iterdir()]) == (0, [made["name"]])
        assert say("backup", "check", "--to", to)[0] == 0
    finally:
        server.stop()


def test_a_killed_restore_leaves_nothing_that_would_start(place: Path, say: Say) -> None:
    data, before = filled(place)
    to, new = place / "backups", DataDir(place / "new")
    _, made, _ = say("backup", "take", "--to", to, "--data-dir", data.path)
    words = ["-m", "cluster.cli.main", "restore", str(to / made["name"])]
    process = subprocess.Popen([sys.executable, *words, "--data-dir", str(new.path)])
    block_until(
        lambda: (new.path / "restoring" / "postgres").exists(), "the begun restore", within_s=120
    )
    process.kill()
    assert process.wait(60) != 0, "it was over before it was killed"
    assert not (new.path / "postgres").exists()
    assert say("restore", to / made["name"], "--data-dir", new.path)[0] == 0
    assert not (new.path / "restoring").exists()
    assert in_new_epochs(restored(new), before)


async def asked(dsn: str, kind: str) -> list[int]:
    """Of the server's processes of a kind."""
    database = await Database.open(PostgresSettings(dsn=dsn), name="look")
    try:
        statement = "SELECT pid FROM pg_stat_activity WHERE backend_type = $1"
        return [int(row[0]) for row in await database.fetch(statement, kind)]
    finally:
        await database.close()


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(word) for word in text.split()]


def alive(pid: int) -> bool:
    return start_time(pid) is not None


def test_this_release_is_tried_on_a_copy_of_what_the_last_one_left(place: Path, say: Say) -> None:
    """The dump was made by the state of the product before events had personal parts."""
    data = DataDir(place / "old")
    assert say("restore", LAST_RELEASE, "--data-dir", data.path)[0] == 0
    applied = ledger(data)
    missing = [one.name for one in known() if one.name not in applied]
    assert missing, "it is older than this release"
    code, told, _ = say("upgrade", "--check", "--data-dir", data.path)
    assert (code, told["green"], told["migrations"]) == (0, True, missing)
    assert (told["cameras"], told["events"]) == (len(CAMERAS), len(CAMERAS) * EVENTS)
    assert ledger(data) == applied, "what is stored is not touched"
    server = EmbeddedPostgres(data, max_connections=30)
    server.start()
    try:  # as a start does it; then the events can be gone on with
        assert asyncio.run(migrate(settings_for(server.dsn))) == missing
        asyncio.run(one_more(server.dsn))
    finally:
        server.stop()
    assert say("audit", "verify", data.path)[0] == 0
    assert say("upgrade", "--data-dir", data.path)[0] == 2


async def one_more(dsn: str) -> None:
    """An event of each camera in a database that was migrated."""
    database = await Database.open(PostgresSettings(dsn=dsn), name="test")
    try:
        cameras = PostgresCameraStore(database)
        active = await cameras.activate(OWNER, CAMERAS)
        assert {a.position.last_offset for a in active} == {0}, "it is restored: a new epoch"
        await advance(cameras, {a.camera: (a.generation, a.position) for a in active})
    finally:
        await database.close()


def ledger(data: DataDir) -> list[str]:
    """The migrations that a data directory has."""
    server = EmbeddedPostgres(data, max_connections=30)
    server.start()
    try:
        return asyncio.run(names(server.dsn, "SELECT name FROM schema_migrations ORDER BY name"))
    finally:
        server.stop()


async def test_a_restore_with_redis_ahead_gives_no_id_twice(
    place: Path, say: Say, servers_redis: str
) -> None:
    """Redis is not lost with the database: it has shown events, under a generation, that the backup
    does not know."""
    data, _ = await asyncio.to_thread(filled, place)
    to, new = place / "backups", DataDir(place / "new")
    made = (await asyncio.to_thread(say, "backup", "take", "--to", to, "--data-dir", data.path))[1]
    shown: set[str] = set()
    async with served(data, servers_redis) as stores:
        lost = await go_on(stores, shown)
    words = ("restore", to / made["name"], "--data-dir", new.path)
    assert (await asyncio.to_thread(say, *words))[0] == 0
    async with served(new, servers_redis) as stores:
        before = len(shown)
        again = await go_on(stores, shown)
        assert len(shown) == before + len(CAMERAS) * EVENTS, "each event has an id of its own"
        for name in CAMERAS:
            assert again[name][0] > lost[name][0], "the generation is above what Redis has seen"
            assert again[name][1].epoch > lost[name][1].epoch
        marks = await stores.publisher.published_marks([("site", name) for name in CAMERAS])
        assert marks == {name: (at.epoch, at.last_offset) for name, (_, at) in again.items()}
    assert (await asyncio.to_thread(say, "audit", "verify", new.path))[0] == 0


async def go_on(stores: Stores, shown: set[str]) -> dict[str, tuple[int, Position]]:
    """Twice another owner takes the cameras, the second commits events and shows them; (generation,
    position) of each camera. Their ids are added to `shown`."""
    for owner, before in (("actor-2", OWNER), (OWNER, "actor-2")):
        for name in CAMERAS:
            assert await stores.cameras.assign(name, owner, previous=before)
        active = await activate(stores, owner, CAMERAS)
    at = {a.camera: (a.generation, a.position) for a in active}
    for _ in range(EVENTS):
        rows, at = await advance(stores.cameras, at)
        events = [
            LiveEvent("site", r.camera, r.generation, r.after.epoch, r.after.last_offset, b"{}")
            for r in rows
        ]
        assert await stores.publisher.publish([], events, {}, {}) == set(), "none is refused"
        shown |= {event.event.id for row in rows for event in row.events}
    return at
