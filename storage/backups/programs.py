"""Runs PostgreSQL's own programs on a database: they end with us, and their errors become ours."""

import ctypes
import os
import signal
import subprocess
import tempfile
from pathlib import Path

from actors.core.errors import Unavailable
from actors.core.settings import PostgresSettings
from storage.embedded.packages import POSTGRES, programs
from storage.embedded.server_user import ServerUser

LONGEST_ERROR = 800  # characters of what a program says
PR_SET_PDEATHSIG = 1  # prctl(2)

_libc = ctypes.CDLL(None, use_errno=True)


class PostgresPrograms:
    """The packaged programs. `keep` takes a copy of them where the servers' user cannot reach the
    package (`storage.embedded.packages`)."""

    def __init__(self, keep: Path, user: ServerUser | None = None) -> None:
        self.folder = programs(POSTGRES, user or ServerUser(), keep)

    def run(
        self, name: str, *arguments: str | Path, database: PostgresSettings | None = None
    ) -> str:
        """What the program writes. `database`: the one that it works on. A password goes by a file
        that only we can read. Raises Unavailable with the end of what it says when it fails."""
        command = [str(self.folder / name), *map(str, arguments)]
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        with tempfile.TemporaryDirectory(prefix="eyrie-pg-") as folder:
            if database is not None:
                command += ["--dbname", database.dsn, "--no-password"]
                if database.password_file:
                    environment["PGPASSFILE"] = _password_file(database.password_file, Path(folder))
            parent = os.getpid()

            def die_with_parent() -> None:
                _libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
                if os.getppid() != parent:
                    os.kill(os.getpid(), signal.SIGKILL)

            done = subprocess.run(
                command,
                check=False,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                env=environment,
                preexec_fn=die_with_parent,
            )
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()[-LONGEST_ERROR:]
            raise Unavailable(f"{name} failed: {said}", hint="Mend what it says, then begin again.")
        return done.stdout.decode(errors="replace")


def _password_file(path: str, folder: Path) -> str:
    """The password as libpq's password file wants it (PostgreSQL 18, 32.16)."""
    password = Path(path).read_text(encoding="utf-8").strip()
    escaped = password.replace("\\", "\\\\").replace(":", "\\:")
    file = folder / "pgpass"
    file.touch(mode=0o600)
    file.write_text(f"*:*:*:*:{escaped}\n", encoding="utf-8")
    return str(file)
