"""The embedded PostgreSQL 18: the binaries of a package (`storage.embedded.packages`) as our own
foreground child.

Our server listens on one Unix socket that only its owner may open, lets in exactly one system user
(peer authentication with a map, no passwords), keeps checksums, and is as durable as PostgreSQL can
be.
"""

import contextlib
import os
import pwd
import signal
import subprocess
from pathlib import Path

from actors.core.errors import NeverStarts, StartError
from storage.embedded.data_dir import DataDir
from storage.embedded.packages import POSTGRES, programs
from storage.embedded.server import ServerProcess
from storage.embedded.server_user import ServerUser

DATABASE = "eyrie"
ROLE = "eyrie"

# Durability first: an ack means fsync. The timeouts end what a frozen owner left open (reliability
# reference 3.1).
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "5s",
    "lock_timeout": "5s",
    "client_connection_check_interval": "2s",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "wal_compression": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


class EmbeddedPostgres:
    """Start with :meth:`start`, then use :attr:`dsn`."""

    def __init__(self, data: DataDir, *, max_connections: int) -> None:
        self._data = data
        self._user = ServerUser()
        self._child = ServerProcess("postgres", data, self._user)
        self._max_connections = max_connections
        self._folder = data.path / "postgres"
        self._sockets = data.socket_folder("pg")
        self._ran = False

    @property
    def dsn(self) -> str:
        """Address of the database; holds no secret."""
        return f"postgresql://{ROLE}@/{DATABASE}?host={self._sockets}"

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._child.pid

    def alive(self) -> bool:
        """True while it runs."""
        return self._child.alive()

    def start(self) -> None:
        """Make the cluster on first use, start the server, make the database. Raises StartError,
        OSError."""
        binaries = programs(POSTGRES, self._user, self._data.path / "binaries")
        if self._ran and not self._folder.exists():
            raise NeverStarts(
                f"the database in {self._folder} is gone",
                hint="Put it back (docs/deploy.md), then start again.",
            )
        self.own_folders()
        cluster = self._folder / POSTGRES.line
        check_line(self._folder)
        if not (cluster / "PG_VERSION").exists():
            self._make_cluster(binaries, cluster)
        self._write_access(cluster)
        # A killed postmaster's lock files name a pid that may live again in another program: ours
        # is gone, or end_leftovers saw to it.
        for lock in (cluster / "postmaster.pid", *self._sockets.glob(".s.PGSQL.*")):
            lock.unlink(missing_ok=True)
        options = {
            **SETTINGS,
            "unix_socket_directories": str(self._sockets),
            "max_connections": str(self._max_connections),
        }
        command = [str(binaries / "postgres"), "-D", str(cluster)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        self._child.spawn(command, folder=self._folder, death_signal=signal.SIGINT)
        probe = [str(binaries / "pg_isready"), "-q", "-h", str(self._sockets), "-U", ROLE]
        self._child.wait_ready(
            lambda: subprocess.run(probe, check=False, capture_output=True).returncode == 0
        )
        self._make_database(binaries)
        self._ran = True

    def own_folders(self) -> None:
        """Make the folders of the database and of its socket, and give them to the server's user.
        Raises StartError."""
        self._user.own(self._folder)
        self._user.own(self._sockets)

    def give_away(self, cluster: Path) -> None:
        """Let the server's user own everything in `cluster`. Raises OSError."""
        if self._user.other:
            for path in (cluster, *cluster.rglob("*")):
                os.chown(path, self._user.uid, self._user.gid, follow_symlinks=False)

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, everything committed is on disk."""
        self._child.stop(signal.SIGINT)
        self._data.leave_socket_folder("pg")

    def _make_cluster(self, binaries: Path, cluster: Path) -> None:
        fresh = cluster.with_name(f"{POSTGRES.line}.new")
        self._as_user(
            ["rm", "-rf", str(fresh)], "PostgreSQL's unfinished folder could not be removed"
        )
        self._as_user(
            [
                str(binaries / "initdb"),
                "-D",
                str(fresh),
                "-U",
                ROLE,
                "--auth=peer",
                "--data-checksums",
                "--encoding=UTF8",
                "--no-locale",
            ],
            "PostgreSQL's data folder could not be made",
        )
        fresh.rename(cluster)

    def _write_access(self, cluster: Path) -> None:
        """Only we (and the server's own user) get in, as the one role."""
        names = sorted({self._user.name, pwd.getpwuid(os.geteuid()).pw_name})
        self._write(
            cluster / "pg_hba.conf",
            "local all all peer map=eyrie\nlocal replication all peer map=eyrie\n",  # base backups
        )
        self._write(
            cluster / "pg_ident.conf", "".join(f'eyrie "{name}" {ROLE}\n' for name in names)
        )

    def _write(self, path: Path, text: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            if path.read_text(encoding="utf-8") == text:
                return  # on a full disk writing it again would leave it empty
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        if self._user.other:
            os.chown(path, self._user.uid, self._user.gid)

    def _make_database(self, binaries: Path) -> None:
        psql = [
            str(binaries / "psql"),
            "-X",
            "-q",
            "-A",
            "-t",
            "-h",
            str(self._sockets),
            "-U",
            ROLE,
            "-d",
            "postgres",
            "-c",
        ]
        known = subprocess.run(
            [*psql, f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"],
            check=False,
            capture_output=True,
        )
        if known.stdout.strip() == b"1":
            return
        made = subprocess.run(
            [*psql, f"CREATE DATABASE {DATABASE}"], check=False, capture_output=True
        )
        if made.returncode:
            raise StartError(
                f"the database could not be made: {made.stderr.decode(errors='replace').strip()}"
            )

    def _as_user(self, command: list[str], failure: str) -> None:
        other = self._user.other
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            cwd=self._folder,
            user=self._user.uid if other else None,
            group=self._user.gid if other else None,
            extra_groups=[] if other else None,
        )
        if done.returncode:
            raise StartError(f"{failure}: {done.stderr.decode(errors='replace').strip()}")


def check_line(folder: Path) -> None:
    """Raises NeverStarts when what `folder` holds is of another major line: it could not be read,
    or would be passed over in silence."""
    found = {
        file.parent.name: file.read_text(encoding="ascii").strip()
        for file in folder.glob("*/PG_VERSION")
    }
    own = found.get(POSTGRES.line, "")
    other = (
        [own]
        if own
        else sorted({line for name, line in found.items() if not name.endswith(".new")})
    )
    if other and POSTGRES.line not in other:
        raise NeverStarts(
            f"{folder} holds a database of PostgreSQL {', '.join(other)}, and this Eyrie runs "
            f"PostgreSQL {POSTGRES.line}",
            hint="Dump it with the Eyrie that made it (pg_dump) and restore it here, or start "
            "empty in another folder with --data-dir.",
        )
