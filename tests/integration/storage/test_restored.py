"""A restored database is known by itself: no event id is given out twice (design section 6)."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest

from actors.core.errors import EyrieError
from actors.core.messages.commits import CommitRow, Position
from actors.core.messages.events import CHAIN_START
from actors.core.settings import Settings
from cluster.cli.main import main
from storage.embedded.packages import POSTGRES
from storage.migrations import migrate
from storage.postgres.place import renew_epochs
from storage.postgres.pool import Database
from storage.stores import Stores, open_stores
from tests.support.servers.store_fixtures import settings_of
from tests.support.servers.store_servers import Server, postgres, server_programs
from tests.support.store_rows import OWNER, event_of, row_of, running

CAMERAS = ["cam-1", "cam-2"]


@pytest.fixture
def server() -> Iterator[tuple[Server, str]]:
    """A PostgreSQL for one test: what is restored here is the whole of it."""
    with postgres() as found:
        yield found


async def _filled(dsn: str, redis: str) -> tuple[Stores, dict[str, tuple[int, Position]]]:
    """A migrated database with one event of each camera; the cameras' generations and positions."""
    settings = settings_of(dsn, redis)
    await migrate(settings)
    stores = await open_stores(settings, name="test")
    at = await running(stores.registry, stores.cameras, CAMERAS)
    rows = [
        row_of(name, generation, position, events=[event_of(name, position)])
        for name, (generation, position) in at.items()
    ]
    assert await stores.cameras.commit(rows) == set(CAMERAS)
    return stores, {row.camera: (row.generation, row.after) for row in rows}


async def _positions(settings: Settings) -> dict[str, Position]:
    """The positions as a new connection of the product finds them."""
    stores = await open_stores(settings, name="look")
    found = {a.camera: a.position for a in await stores.cameras.activate(OWNER, CAMERAS)}
    await stores.close()
    return found


def _tool(dsn: str, name: str, *arguments: str) -> bytes:
    found = re.search(r"host=(\S+)", dsn)
    assert found is not None
    command = [str(server_programs(POSTGRES) / name), "-h", found[1], "-U", "eyrie", *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


async def _new_epochs(settings: Settings, before: dict[str, Position]) -> None:
    after = await _positions(settings)
    for camera in CAMERAS:
        assert after[camera].epoch > before[camera].epoch, "names of epochs sort by age"
        assert (after[camera].last_offset, after[camera].chain) == (0, CHAIN_START)
        assert (after[camera].session, after[camera].last_seq) == (
            before[camera].session,
            before[camera].last_seq,
        ), "the edge goes on"
    assert await _positions(settings) == after, "once is enough"


async def test_a_restart_and_a_new_connection_change_nothing(
    server: tuple[Server, str], servers_redis: str
) -> None:
    process, dsn = server
    stores, at = await _filled(dsn, servers_redis)
    await stores.close()
    await migrate(settings_of(dsn, servers_redis))
    process.stop()
    process.start(lambda: _ready(dsn))
    assert await _positions(settings_of(dsn, servers_redis)) == {
        camera: position for camera, (_, position) in at.items()
    }


def _ready(dsn: str) -> bool:
    try:
        _tool(dsn, "pg_isready", "-q")
    except subprocess.CalledProcessError:
        return False
    return True


async def test_a_dump_that_is_read_back_starts_new_epochs(
    server: tuple[Server, str], servers_redis: str
) -> None:
    _, dsn = server
    stores, at = await _filled(dsn, servers_redis)
    await stores.close()
    dump = _tool(dsn, "pg_dump", "-Fp", "postgres")
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE DATABASE again")
    await connection.close()
    found = re.search(r"host=(\S+)", dsn)
    assert found is not None
    target = dsn.replace("/postgres?", "/again?")
    connection = await asyncpg.connect(target)
    await asyncio.to_thread(_read_back, found[1], dump, "again")
    await connection.close()
    await _new_epochs(
        settings_of(target, servers_redis),
        {camera: position for camera, (_, position) in at.items()},
    )


def _read_back(host: str, dump: bytes, database: str) -> None:
    command = [
        str(server_programs(POSTGRES) / "psql"),
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "-h",
        host,
        "-U",
        "eyrie",
        database,
    ]
    subprocess.run(command, input=dump, check=True, capture_output=True)


async def test_rows_that_are_loaded_anew_into_the_same_tables_start_new_epochs(
    server: tuple[Server, str], servers_redis: str
) -> None:
    """`pg_restore --data-only` after a TRUNCATE: the same database, the same tables, older rows."""
    _, dsn = server
    stores, at = await _filled(dsn, servers_redis)
    await stores.close()
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "CREATE TABLE kept AS TABLE positions; TRUNCATE positions; INSERT INTO positions SELECT "
        "* FROM kept; DROP TABLE kept"
    )
    await connection.close()
    await _new_epochs(
        settings_of(dsn, servers_redis), {camera: position for camera, (_, position) in at.items()}
    )


async def test_a_data_directory_that_is_put_back_starts_new_epochs(
    server: tuple[Server, str], servers_redis: str
) -> None:
    process, dsn = server
    stores, at = await _filled(dsn, servers_redis)
    await stores.close()
    process.stop()
    data, kept = process.folder / "data", process.folder / "kept"
    await asyncio.to_thread(_put_back, data, kept)
    process.start(lambda: _ready(dsn))
    await _new_epochs(
        settings_of(dsn, servers_redis), {camera: position for camera, (_, position) in at.items()}
    )


def _keep(data: Path, kept: Path) -> None:
    subprocess.run(["cp", "-a", data, kept], check=True)


def _put_back(data: Path, kept: Path) -> None:
    _keep(data, kept)
    shutil.rmtree(data)
    kept.rename(data)


async def test_a_database_that_is_put_back_below_open_stores_is_met_before_the_next_commit(
    server: tuple[Server, str], servers_redis: str
) -> None:
    """The platform stays up: its next connection finds the older state, and no commit of the old
    numbering goes through."""
    process, dsn = server
    stores, at = await _filled(dsn, servers_redis)
    process.stop()
    data, kept = process.folder / "data", process.folder / "kept"
    await asyncio.to_thread(_keep, data, kept)
    process.start(lambda: _ready(dsn))
    rows = [
        row_of(name, generation, position, events=[event_of(name, position)])
        for name, (generation, position) in at.items()
    ]
    assert await _patiently(stores, rows) == set(CAMERAS)
    lost = {row.camera: row.after for row in rows}
    process.stop()
    await asyncio.to_thread(shutil.rmtree, data)
    kept.rename(data)
    process.start(lambda: _ready(dsn))
    assert await _patiently(stores, rows) == set(), (
        "the same rows fit the older state, were it not for the epoch"
    )
    found = {a.camera: a.position for a in await stores.cameras.activate(OWNER, CAMERAS)}
    assert all(found[camera].epoch > lost[camera].epoch for camera in CAMERAS)
    await stores.close()


async def test_a_dump_that_is_read_back_below_open_connections_is_met_by_the_next_activation(
    server: tuple[Server, str], servers_redis: str
) -> None:
    """No connection is made anew: the rows fit nothing that is to be committed, and whoever
    activates them finds a new numbering."""
    _, dsn = server
    stores, at = await _filled(dsn, servers_redis)
    dump = _tool(dsn, "pg_dump", "-Fp", "postgres")
    rows = [
        row_of(name, generation, position, events=[event_of(name, position)])
        for name, (generation, position) in at.items()
    ]
    assert await stores.cameras.commit(rows) == set(CAMERAS)
    lost = {row.camera: row.after for row in rows}
    found = re.search(r"host=(\S+)", dsn)
    assert found is not None
    connection = await asyncpg.connect(dsn)
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await connection.close()
    with pytest.raises(EyrieError, match="does not fit"):
        await stores.cameras.commit(rows)
    await asyncio.to_thread(_read_back, found[1], dump, "postgres")
    later = [
        row_of(name, row.generation, row.after, events=[event_of(name, row.after)])
        for row in rows
        for name in [row.camera]
    ]
    assert await stores.cameras.commit(later) == set()
    after = {a.camera: a.position for a in await stores.cameras.activate(OWNER, CAMERAS)}
    assert all(after[camera].epoch > lost[camera].epoch for camera in CAMERAS)
    await stores.close()


async def _patiently(stores: Stores, rows: list[CommitRow]) -> set[str]:
    """Commit, again while the pool still holds connections to the server that went."""
    for _ in range(20):
        try:
            return set(await stores.cameras.commit(rows))
        except EyrieError:
            continue
    raise AssertionError("no commit went through")


async def test_many_processes_that_meet_a_restored_database_renew_once(
    server: tuple[Server, str], servers_redis: str
) -> None:
    _, dsn = server
    stores, _ = await _filled(dsn, servers_redis)
    await stores.close()
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE database_place SET place = 'elsewhere'")
    await connection.close()
    settings = settings_of(dsn, servers_redis)
    opened = await asyncio.gather(
        *(Database.open(settings.postgres, name=f"met {n}") for n in range(8)),
        return_exceptions=True,
    )
    databases = [found for found in opened if isinstance(found, Database)]
    assert len(databases) == 8, opened
    try:
        written = [
            await d.fetch_value("SELECT count(DISTINCT xmin::text) FROM positions")
            for d in databases
        ]
        assert written == [1] * 8, "one transaction of one process wrote them"
    finally:
        for database in databases:
            await database.close()


async def test_one_camera_is_renewed_by_hand(
    server: tuple[Server, str], servers_redis: str
) -> None:
    _, dsn = server
    stores, at = await _filled(dsn, servers_redis)
    async with stores.database.transaction(writing=True) as connection:
        assert await renew_epochs(connection, ["cam-2"]) == ["cam-2"]
    after = {a.camera: a.position for a in await stores.cameras.activate(OWNER, CAMERAS)}
    assert after["cam-1"] == at["cam-1"][1]
    assert (after["cam-2"].epoch > at["cam-2"][1].epoch, after["cam-2"].last_offset) == (True, 0)
    await stores.close()


async def test_the_command_renews_and_is_written_down(
    server: tuple[Server, str],
    servers_redis: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, dsn = server
    stores, at = await _filled(dsn, servers_redis)
    key = tmp_path / "policy.secret"
    key.write_text("0123456789abcdef0123456789abcdef")
    key.chmod(0o600)
    options = ["--source", dsn, "--key-file", str(key)]
    try:
        assert (
            await asyncio.to_thread(
                main, ["epoch", "renew", "--camera", "cam-2", "--camera", "no-such", *options]
            )
            == 1
        )
        assert "no-such" in capsys.readouterr().err
        assert (await _owned(stores))["cam-2"] == at["cam-2"][1], "all or nothing"
        assert await asyncio.to_thread(main, ["epoch", "renew", "--all", "--json", *options]) == 0
        assert msgspec.json.decode(capsys.readouterr().out) == {"renewed": CAMERAS}
        assert all(position.last_offset == 0 for position in (await _owned(stores)).values())
        rows = await stores.database.fetch(
            "SELECT action, target, detail FROM audit_log ORDER BY number DESC LIMIT 1"
        )
        assert tuple(rows[0]) == ("epoch.renew", "all", "2 cameras")
    finally:
        await stores.close()


async def _owned(stores: Stores) -> dict[str, Position]:
    return {
        camera: row.position for camera, row in (await stores.cameras.ownership(CAMERAS)).items()
    }
