"""Embedded servers as foreground children: each dies with us (parent-death signal), has its pid in the run folder and a log of its own."""

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from actors.core.errors import StartError
from storage.data_dir import DataDir, private_folder

START_S = 30.0  # seconds a server may take to answer
STOP_S = 20.0  # seconds a server may take to end when asked
POLL_S = 0.02
MAX_LOG_BYTES = 16 * 1024 * 1024  # a longer log is put aside at the next start
LOG_LINES = 12  # lines of the server's log shown with an error
PR_SET_PDEATHSIG = 1  # prctl(2)

_libc = ctypes.CDLL(None, use_errno=True)


def package_folder(name: str) -> Path:
    """The folder of an installed package, without importing it (importing these packages has effects)."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise StartError(f"the Python package {name} is not installed", hint="Run `make install`.")
    return Path(spec.origin).parent


class ServerUser:
    """Who embedded servers run as: ourselves, or, when we are root, an unprivileged user (PostgreSQL refuses root)."""

    def __init__(self) -> None:
        self.uid, self.gid, self.name = os.geteuid(), os.getegid(), ""
        if self.uid != 0:
            self.name = _user_name(self.uid)
            return
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            self.uid, self.gid, self.name = entry.pw_uid, entry.pw_gid, name
            return
        raise StartError("there is no unprivileged user to run PostgreSQL as", hint="Start Eyrie as a normal user.")

    @property
    def other(self) -> bool:
        """True when that is not us."""
        return self.uid != os.geteuid()

    def own(self, folder: Path, mode: int = 0o700) -> Path:
        """Make `folder` and give it to the user. Raises StartError when the user could not reach it, or somebody else has it."""
        private_folder(folder, self.uid)
        if self.other:
            os.chown(folder, self.uid, self.gid)
            blocked = self.blocked_at(folder.parent)
            if blocked is not None:
                raise StartError(
                    f"the user {self.name}, whom PostgreSQL runs as, cannot reach {folder}: {blocked} is closed to others",
                    hint="Choose a data directory below folders that others may traverse (for example /var/lib/eyrie) with --data-dir.",
                )
        folder.chmod(mode)
        return folder

    def blocked_at(self, path: Path) -> Path | None:
        """The outermost folder on the way to `path` that the user may not traverse, or None."""
        if not self.other:
            return None
        for folder in (*reversed(path.parents), path):
            info = folder.stat()
            allowed = (info.st_mode & 0o001) or (info.st_uid == self.uid and info.st_mode & 0o100)
            if not allowed:
                return folder
        return None


def reachable_copy(binaries: Path, user: ServerUser, keep: Path) -> Path:
    """`binaries`, or a copy below `keep` when the user cannot reach them (a checkout below a closed home, say)."""
    if user.blocked_at(binaries) is None:
        return binaries
    copy = keep / binaries.name
    if not (copy / ".complete").exists():
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(binaries, copy, symlinks=True)
        (copy / ".complete").touch()
    return copy


class Child:
    """One server process in our care."""

    def __init__(self, name: str, data: DataDir, user: ServerUser | None = None) -> None:
        self.name = name
        self._data = data
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log_file(self) -> Path:
        """Where its output goes."""
        return self._data.logs / f"{self.name}.log"

    @property
    def pid(self) -> int:
        """Its process id. Raises StartError before it was started."""
        if self._process is None:
            raise StartError(f"{self.name} was not started")
        return self._process.pid

    def alive(self) -> bool:
        """True while it runs."""
        return self._process is not None and self._process.poll() is None

    def spawn(
        self, command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None, folder: Path | None = None,
        death_signal: signal.Signals = signal.SIGTERM, stdout: int | None = None,
    ) -> "subprocess.Popen[bytes]":  # fmt: skip
        """Start it in a session of its own (a Ctrl-C on the terminal is ours to pass on)."""
        number, parent = int(death_signal), os.getpid()

        def die_with_parent() -> None:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())  # a mask is inherited, and would hold the death signal back
            _libc.prctl(PR_SET_PDEATHSIG, number)
            if os.getppid() != parent:
                os.kill(os.getpid(), number)

        other = self._user if self._user is not None and self._user.other else None
        if self.log_file.exists() and self.log_file.stat().st_size > MAX_LOG_BYTES:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log if stdout is None else stdout, stderr=log,
                cwd=folder or self._data.path, env=dict(environment) if environment is not None else None, start_new_session=True,
                preexec_fn=die_with_parent, user=other.uid if other else None, group=other.gid if other else None,
                extra_groups=[] if other else None,
            )  # fmt: skip
        self._data.note(self.name, self._process.pid)
        return self._process

    def wait_ready(self, ready: Callable[[], bool], timeout_s: float = START_S) -> None:
        """Wait until `ready`. Raises StartError with the end of the log when it ends or takes longer."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if not self.alive():
                raise StartError(f"{self.name} ended while starting:\n{self.log_tail()}", hint=f"The whole log is in {self.log_file}.")
            if time.monotonic() > deadline:
                raise StartError(
                    f"{self.name} did not answer in {timeout_s:g} s:\n{self.log_tail()}", hint=f"The log is in {self.log_file}."
                )
            time.sleep(POLL_S)

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = STOP_S) -> None:
        """Ask it to end, and kill it when it does not within `timeout_s`."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(STOP_S)
        self._data.forget(self.name)

    def log_tail(self) -> str:
        """The last lines of its log."""
        try:
            lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return "(no log)"
        return "\n".join(f"    {line}" for line in lines[-LOG_LINES:])


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError as error:
        raise StartError(f"the user id {uid} has no name in the system's user database", hint="PostgreSQL needs one; add it.") from error
