"""A PostgreSQL and a Redis of the test's own: the packaged binaries as foreground children, on Unix
sockets, removed when done.

The stores are tested against these bare servers; how Eyrie itself starts servers has tests of its
own.
"""

import atexit
import ctypes
import functools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.embedded.packages import POSTGRES, VALKEY, EmbeddedServer, programs
from storage.embedded.redis import answers
from storage.embedded.server_user import ServerUser

START_S = 30.0  # seconds a server may take to come up
STOP_S = 10.0

_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1  # prctl(2): the signal a process gets when its parent dies


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


@functools.cache
def server_programs(server: EmbeddedServer) -> Path:
    """The folder of a server's programs, where `nobody` can run them too (removed at the end of the
    process when it is a copy).

    Those of another release are taken from the folder in ``TEST_POSTGRES_PROGRAMS`` or
    ``TEST_VALKEY_PROGRAMS``.
    """
    given = os.environ.get(f"TEST_{server.name.upper()}_PROGRAMS")
    if given:
        return Path(given)
    keep = Path(tempfile.mkdtemp(prefix="eyrie-binaries-"))
    keep.chmod(0o711)
    atexit.register(shutil.rmtree, keep, ignore_errors=True)
    return programs(server, ServerUser(), keep)


class Server:
    """A child process that can be killed, stopped, continued and started again."""

    def __init__(self, command: list[str], folder: Path, *, user: int | None) -> None:
        self.command = command
        self.folder = folder
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, ready: Callable[[], bool]) -> None:
        """Start and wait until `ready`. Children of a PostgreSQL that was killed go a moment after
        it; until then a new one refuses their shared memory, and is started again."""
        log = self.folder / "log"
        before = log.stat().st_size if log.exists() else 0
        self._spawn(log)
        deadline = time.monotonic() + START_S
        while not ready():
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.command[0]} did not start:\n{_tail(log, before)}")
            if self._process is not None and self._process.poll() is not None:
                said = _tail(log, before)
                if "pre-existing shared memory block" not in said:
                    raise AssertionError(f"{self.command[0]} did not start:\n{said}")
                before = log.stat().st_size
                self._spawn(log)
            time.sleep(0.02)

    def _spawn(self, log: Path) -> None:
        with log.open("ab") as written:
            self._process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                stdout=written,
                stderr=written,
                user=self._user,
                group=self._user,
                preexec_fn=_die_with_parent,
            )

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """End the server and wait until it is gone."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(number)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_S)


def _tail(log: Path, since: int) -> str:
    """What a log has from byte `since` on; 2,000 bytes at most."""
    return log.read_bytes()[since:][-2000:].decode("utf-8", "replace")


@contextmanager
def _folder(prefix: str, within: Path | None = None) -> Iterator[tuple[Path, int | None]]:
    """A private folder, and the user that servers run as (root's servers run as `nobody`:
    PostgreSQL refuses root)."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=within))
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    if user is not None:
        os.chown(folder, user, user)
    try:
        yield folder, user
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres(*, durable: bool = False, within: Path | None = None) -> Iterator[tuple[Server, str]]:
    """(server, dsn). `durable` keeps fsync on, for measurements; `within`: where its folder is
    made."""
    binaries = server_programs(POSTGRES)
    with _folder("eyrie-pg-", within) as (folder, user):
        subprocess.run(
            [
                binaries / "initdb",
                "-D",
                folder / "data",
                "-U",
                "eyrie",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-locale",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            cwd=folder,
            user=user,
            group=user,
        )
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(folder),
            "max_connections": "40",
            "fsync": "on" if durable else "off",
        }
        command = [str(binaries / "postgres"), "-D", str(folder / "data")]
        server = Server(
            command + [part for key, value in options.items() for part in ("-c", f"{key}={value}")],
            folder,
            user=user,
        )
        check = [str(binaries / "pg_isready"), "-q", "-h", str(folder)]
        server.start(lambda: subprocess.run(check, check=False).returncode == 0)
        try:
            yield server, f"postgresql://eyrie@/postgres?host={folder}"
        finally:
            server.stop()


@contextmanager
def redis() -> Iterator[tuple[Server, str]]:
    """(server, url). It keeps nothing: a restarted one is empty."""
    names = ("valkey-server", "redis-server")
    binary = next(path for name in names if (path := server_programs(VALKEY) / name).exists())
    with _folder("eyrie-redis-") as (folder, user):
        socket = folder / "redis.sock"
        command = [
            str(binary),
            "--port",
            "0",
            "--unixsocket",
            str(socket),
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            str(folder),
        ]
        server = Server(command, folder, user=user)
        server.start(lambda: answers(socket))
        try:
            yield server, f"unix://{socket}"
        finally:
            server.stop(signal.SIGTERM)
