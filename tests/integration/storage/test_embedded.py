"""The embedded servers as real processes: durable, closed to strangers, gone with us, and back
after any death."""

import asyncio
import errno
import os
import pwd
import shutil
import signal
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from actors.core.errors import StartError
from storage.embedded.data_dir import DataDir, private_folder, start_time
from storage.embedded.packages import POSTGRES, VALKEY
from storage.embedded.postgres import EmbeddedPostgres
from storage.embedded.redis import EmbeddedRedis, answers

STRANGER = "nobody"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user may traverse, as /var/lib is (the test runner's own may be
    closed)."""
    folder = Path(tempfile.mkdtemp(prefix="eyrie-e-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def data(place: Path) -> DataDir:
    made = DataDir(place / "data")
    made.prepare()
    return made


@pytest.fixture
def postgres(data: DataDir) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(data, max_connections=20)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def redis(data: DataDir) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(data)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def until(condition: Callable[[], object], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s:g} s"
        time.sleep(0.02)


def forked(work: Callable[[], int], user: str = "") -> int:
    """The pid of a child of ours that does `work` as `user` and ends with what it returns (the
    interpreter may be closed to that user)."""
    pid = os.fork()
    if pid:
        return pid
    status = 255
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if user:
            entry = pwd.getpwnam(user)
            os.setgroups([])
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            os.chdir("/")
        status = work()
    finally:
        os._exit(status)


class Holder:
    """A launcher in small, in a process of its own: holds the data directory and both servers until
    SIGTERM."""

    def __init__(self, place: Path, user: str) -> None:
        self._place = place
        self._told = place / "told"
        self._told.unlink(missing_ok=True)
        self.pid = forked(self._hold, user)

    def _hold(self) -> int:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        data = DataDir(self._place / "data")
        data.prepare()
        with data.locked():
            data.end_leftovers()
            postgres, redis = EmbeddedPostgres(data, max_connections=20), EmbeddedRedis(data)
            postgres.start()
            redis.start()
            fresh = self._told.with_suffix(".new")
            fresh.write_text(f"{postgres.pid} {redis.pid}", encoding="ascii")
            fresh.rename(self._told)
            while not (self._place / "question").exists():
                if signal.sigtimedwait({signal.SIGTERM}, 0.02) is not None:
                    break
            else:
                (self._place / "answer").write_text(
                    asyncio.run(self._answer(postgres.dsn)), encoding="utf-8"
                )
                (self._place / "question").unlink()
                signal.sigwait({signal.SIGTERM})
            redis.stop()
            postgres.stop()
        return 0

    async def _answer(self, dsn: str) -> str:
        found = await ask(dsn, (self._place / "question").read_text(encoding="utf-8"))
        return "" if found is None else str(found)

    def servers(self) -> list[int]:
        """The pids of PostgreSQL and Redis, once both answer."""
        until(self._told.exists)
        return [int(word) for word in self._told.read_text(encoding="ascii").split()]

    def ask(self, statement: str) -> str:
        """One statement, asked by the holder: PostgreSQL lets in nobody but the user it belongs
        to."""
        fresh = self._place / "question.new"
        fresh.write_text(statement, encoding="utf-8")
        fresh.chmod(0o666)
        shutil.chown(fresh, self._told.stat().st_uid)
        fresh.rename(self._place / "question")
        until(lambda: not (self._place / "question").exists())
        return (self._place / "answer").read_text(encoding="utf-8")

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; the exit code."""
        os.kill(self.pid, number)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


async def ask(dsn: str, statement: str) -> Any:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def user_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def listens_on_tcp(pid: int) -> bool:
    """Whether the process holds a socket that is in a table of listening TCP sockets (state 0A)."""
    own = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in own:
                return True
    return False


async def test_postgresql_is_durable_and_bounded(postgres: EmbeddedPostgres) -> None:
    expected = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "data_checksums": "on",
        "server_encoding": "UTF8",
        "listen_addresses": "",
        "max_connections": "20",
        "idle_in_transaction_session_timeout": "5s",
        "lock_timeout": "5s",
        "statement_timeout": "30s",
        "TimeZone": "UTC",
    }
    assert {name: await ask(postgres.dsn, f"SHOW {name}") for name in expected} == expected
    assert str(await ask(postgres.dsn, "SHOW server_version")).startswith("18.")
    assert not listens_on_tcp(postgres.pid)
    assert user_of(postgres.pid) != 0


async def test_what_was_committed_is_there_after_an_orderly_stop(
    postgres: EmbeddedPostgres,
) -> None:
    await ask(postgres.dsn, "CREATE TABLE kept AS SELECT 42 AS n")
    postgres.stop()
    assert not postgres.alive()
    postgres.start()
    assert await ask(postgres.dsn, "SELECT n FROM kept") == 42


async def test_a_killed_postgresql_recovers(postgres: EmbeddedPostgres, data: DataDir) -> None:
    await ask(postgres.dsn, "CREATE TABLE kept AS SELECT 42 AS n")
    os.kill(postgres.pid, signal.SIGKILL)
    until(lambda: not postgres.alive())
    lock = data.path / "postgres" / "18" / "postmaster.pid"
    assert lock.exists()
    # The worst case of a stale lock file: its pid lives again, in a program that is not ours.
    lines = lock.read_text(encoding="ascii").splitlines()
    lock.write_text("\n".join([str(os.getppid()), *lines[1:]]) + "\n", encoding="ascii")
    postgres.start()
    assert await ask(postgres.dsn, "SELECT n FROM kept") == 42


def test_only_the_owner_may_open_the_sockets(
    postgres: EmbeddedPostgres, redis: EmbeddedRedis, data: DataDir
) -> None:
    for folder in (data.socket_folder("pg"), data.socket_folder("redis")):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not listens_on_tcp(redis.pid)


@as_root
def test_a_stranger_cannot_connect(
    postgres: EmbeddedPostgres, redis: EmbeddedRedis, data: DataDir
) -> None:
    if user_of(postgres.pid) == pwd.getpwnam(STRANGER).pw_uid:
        pytest.skip(f"PostgreSQL itself runs as {STRANGER} here")
    for path in (
        data.socket_folder("pg") / ".s.PGSQL.5432",
        data.socket_folder("redis") / "redis.sock",
    ):
        assert path.is_socket()

        def connect(path: Path = path) -> int:
            with socket.socket(socket.AF_UNIX) as link:
                return link.connect_ex(str(path))

        pid = forked(connect, STRANGER)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == errno.EACCES


@as_root
def test_a_directory_that_the_servers_user_cannot_reach_is_told_and_left_as_it_was(
    place: Path,
) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    data = DataDir(closed / "data")
    data.prepare()
    with pytest.raises(StartError) as caught:
        EmbeddedPostgres(data, max_connections=20).start()
    assert str(closed) in caught.value.detail
    assert "--data-dir" in caught.value.next_step
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@as_root
@pytest.mark.parametrize("umask", [0o022, 0o077])
async def test_servers_start_from_packages_in_a_closed_home(
    place: Path, monkeypatch: pytest.MonkeyPatch, umask: int
) -> None:
    home = place / "home"
    home.mkdir(mode=0o700)
    for server in (POSTGRES, VALKEY):
        spec = find_spec(server.package)
        assert spec is not None
        assert spec.origin is not None
        installed = Path(spec.origin).parent
        for folder in (installed, installed.with_name(f"{server.package}.libs")):
            if folder.exists():
                shutil.copytree(folder, home / folder.name)
        monkeypatch.delitem(
            sys.modules, server.package, raising=False
        )  # its pytest plugin imports it
    monkeypatch.syspath_prepend(str(home))
    before = os.umask(umask)
    try:
        data = DataDir(place / "made" / "on the way" / "däta")
        data.prepare()
        postgres, redis = EmbeddedPostgres(data, max_connections=20), EmbeddedRedis(data)
        try:
            postgres.start()
            redis.start()
            assert await ask(postgres.dsn, "SELECT 1") == 1
            for pid in (postgres.pid, redis.pid):
                assert os.readlink(f"/proc/{pid}/exe").startswith(f"{data.path}/binaries/")
        finally:
            redis.stop()
            postgres.stop()
    finally:
        os.umask(before)


@as_root
def test_no_server_runs_as_root_nor_in_a_folder_of_root(
    postgres: EmbeddedPostgres, redis: EmbeddedRedis, data: DataDir
) -> None:
    for pid, name in ((postgres.pid, "pg"), (redis.pid, "redis")):
        assert user_of(pid) != 0
        assert data.socket_folder(name).stat().st_uid == user_of(pid)
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
        assert next(line.split()[1:] for line in lines if line.startswith("CapEff")) == ["0" * 16]


def test_a_folder_that_anybody_could_replace_is_refused(place: Path) -> None:
    place.chmod(0o777)
    with pytest.raises(StartError, match="anybody can replace") as caught:
        private_folder(place / "sockets")
    assert "--data-dir" in caught.value.next_step
    place.chmod(0o1777)
    assert private_folder(place / "sockets").is_dir()


async def test_a_deep_data_directory_works_and_leaves_no_folder_of_sockets_elsewhere(
    place: Path,
) -> None:
    data = DataDir(place / "/".join(["a-rather-long-folder-name"] * 5))
    data.prepare()
    postgres, redis = EmbeddedPostgres(data, max_connections=20), EmbeddedRedis(data)
    folders = [data.socket_folder("pg"), data.socket_folder("redis")]
    try:
        postgres.start()
        redis.start()
        assert await ask(postgres.dsn, "SELECT 1") == 1
        assert all(folder.is_dir() and not folder.is_relative_to(data.path) for folder in folders)
    finally:
        redis.stop()
        postgres.stop()
    assert not any(folder.exists() for folder in folders)


def test_a_server_that_does_not_start_shows_the_end_of_its_log(
    postgres: EmbeddedPostgres, data: DataDir
) -> None:
    postgres.stop()
    with (data.path / "postgres" / "18" / "postgresql.conf").open("a", encoding="ascii") as file:
        file.write("no_such_setting = 1\n")
    begun = time.monotonic()
    with pytest.raises(StartError) as caught:
        postgres.start()
    assert "no_such_setting" in caught.value.detail
    assert str(data.logs / "postgres.log") in caught.value.next_step
    assert time.monotonic() - begun < 25


def test_redis_comes_back_after_being_killed(redis: EmbeddedRedis, data: DataDir) -> None:
    path = data.socket_folder("redis") / "redis.sock"
    assert answers(path)
    os.kill(redis.pid, signal.SIGKILL)
    until(lambda: not redis.alive())
    assert not answers(path)
    redis.start()
    assert answers(path)


@pytest.mark.parametrize(
    "user", ["", pytest.param(STRANGER, marks=as_root)], ids=["as we are", "as a normal user"]
)
def test_servers_die_with_a_killed_launcher_and_the_next_one_goes_on(
    place: Path, user: str
) -> None:
    if user:
        shutil.chown(place, user)
    first = Holder(place, user)
    servers = first.servers()
    assert first.ask("CREATE TABLE kept AS SELECT 42 AS n") == ""
    if user:
        assert {user_of(pid) for pid in servers} == {pwd.getpwnam(user).pw_uid}
    first.end(signal.SIGKILL)
    until(lambda: all(start_time(pid) is None for pid in servers))
    second = Holder(place, user)
    servers = second.servers()
    assert second.ask("SELECT n FROM kept") == "42"
    assert second.end(signal.SIGTERM) == 0
    assert all(start_time(pid) is None for pid in servers)


async def test_two_instances_do_not_disturb_each_other(
    postgres: EmbeddedPostgres, redis: EmbeddedRedis, place: Path
) -> None:
    other = DataDir(place / "other")
    other.prepare()
    second = EmbeddedPostgres(other, max_connections=20)
    second.start()
    try:
        await ask(second.dsn, "CREATE TABLE here ()")
        assert await ask(postgres.dsn, "SELECT to_regclass('here')") is None
    finally:
        second.stop()
    assert postgres.alive()
    assert redis.alive()
