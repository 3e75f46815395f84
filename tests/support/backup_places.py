"""Data directories with events to back up, and the commands that do it."""

import asyncio
import contextlib
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.core.camera.snapshot import Snapshot, encode
from actors.core.messages.commits import CommitRow, Position
from actors.core.messages.events import CHAIN_START
from actors.core.settings import PostgresSettings, Settings
from cluster.cli.main import main
from storage.embedded.data_dir import DataDir
from storage.embedded.postgres import EmbeddedPostgres
from storage.migrations import migrate
from storage.ports.cameras import CameraStore
from storage.postgres.cameras import PostgresCameraStore
from storage.postgres.pool import Database
from storage.postgres.registry import PostgresRegistry
from storage.stores import Stores, open_stores
from tests.support.servers.store_fixtures import settings_of
from tests.support.store_rows import event_of, row_of, running

CAMERAS = ["gate", "yard"]
EVENTS = 3  # of each camera
STATE = encode(Snapshot(v=1))
Say = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that the servers' user may go through."""
    folder = Path(tempfile.mkdtemp(prefix="ey-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs a command; (exit code, JSON on standard output, standard error)."""

    def run(*words: str | Path) -> tuple[int, Any, str]:
        capsys.readouterr()
        code = main([*map(str, words), "--json"])
        told = capsys.readouterr()
        return code, json.loads(told.out) if told.out else None, told.err

    return run


def settings_for(dsn: str) -> Settings:
    return Settings(postgres=PostgresSettings(dsn=dsn))


async def advance(
    cameras: CameraStore, at: dict[str, tuple[int, Position]]
) -> tuple[list[CommitRow], dict[str, tuple[int, Position]]]:
    """One more event of each camera, which is at (generation, position); what was committed, and
    where they are now."""
    rows = [
        row_of(name, generation, position, events=[event_of(name, position)], snapshot=STATE)
        for name, (generation, position) in at.items()
    ]
    assert await cameras.commit(rows) == set(at)
    return rows, {row.camera: (row.generation, row.after) for row in rows}


async def fill(dsn: str) -> dict[str, Position]:
    """A migrated database with events of each camera; where they are."""
    settings = settings_for(dsn)
    await migrate(settings)
    database = await Database.open(settings.postgres, name="test")
    try:
        cameras = PostgresCameraStore(database)
        at = await running(PostgresRegistry(database), cameras, CAMERAS)
        for _ in range(EVENTS):
            _, at = await advance(cameras, at)
        return {name: position for name, (_, position) in at.items()}
    finally:
        await database.close()


async def positions(dsn: str) -> dict[str, Position]:
    """As a new connection of the product finds them."""
    database = await Database.open(PostgresSettings(dsn=dsn), name="look")
    try:
        found = await PostgresCameraStore(database).ownership(CAMERAS)
        return {name: row.position for name, row in found.items()}
    finally:
        await database.close()


def filled(place: Path) -> tuple[DataDir, dict[str, Position]]:
    """A data directory of an Eyrie that was ended, with a key."""
    data = DataDir(place / "data")
    data.prepare()
    (data.keys / "policy.secret").write_text("planted-key")
    server = EmbeddedPostgres(data, max_connections=30)
    server.start()
    try:
        return data, asyncio.run(fill(server.dsn))
    finally:
        server.stop()


def restored(data: DataDir) -> dict[str, Position]:
    """The positions in a data directory, by a server that is started for it."""
    server = EmbeddedPostgres(data, max_connections=30)
    server.start()
    try:
        return asyncio.run(positions(server.dsn))
    finally:
        server.stop()


def in_new_epochs(after: dict[str, Position], before: dict[str, Position]) -> bool:
    """No id means two events, and the edges go on where they were."""
    return all(
        after[name].epoch > before[name].epoch
        and (after[name].last_offset, after[name].chain) == (0, CHAIN_START)
        and (after[name].session, after[name].last_seq)
        == (before[name].session, before[name].last_seq)
        for name in before
    )


async def altered(dsn: str, *statements: str) -> None:
    database = await Database.open(PostgresSettings(dsn=dsn), name="test")
    try:
        for statement in statements:
            await database.fetch(statement, writing=True)
    finally:
        await database.close()


async def names(dsn: str, statement: str) -> list[str]:
    """The first column of what it finds."""
    database = await Database.open(PostgresSettings(dsn=dsn), name="look")
    try:
        return [str(row[0]) for row in await database.fetch(statement)]
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def served(data: DataDir, redis: str) -> AsyncIterator[Stores]:
    """Stores over a data directory's server and a Redis that has its own life."""
    server = EmbeddedPostgres(data, max_connections=30)
    await asyncio.to_thread(server.start)
    try:
        stores = await open_stores(settings_of(server.dsn, redis), name="test")
        try:
            yield stores
        finally:
            await stores.close()
    finally:
        await asyncio.to_thread(server.stop)
