"""The data directory of an embedded Eyrie: who holds it, what runs in it, what a killed predecessor
left behind.

    <dir>/lock            held while an instance runs
    <dir>/postgres/       the database
    <dir>/keys/           secrets (0600)
    <dir>/logs/           one file per server
    <dir>/audit-checkpoint.json   where the audit log ended last, sealed (0600)
    <dir>/run/            settings.json, *.pid (one per process of ours), sockets

As root the directory is open to traversal (0711), since PostgreSQL runs as a user of its own and
must reach its folder.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from actors.core.errors import StartError
from actors.core.settings import Settings

MAX_SOCKET_PATH = 90  # bytes; the kernel takes 107, and servers append names of their own
END_S = 10.0  # seconds leftovers get between the polite signal and the other one


class PidRecord(msgspec.Struct, frozen=True):
    """A process of ours. `started` is its start time in clock ticks since boot: a reused pid has
    another one. `boot`: of which boot."""

    name: str
    pid: int
    started: int
    boot: str = ""


class ProcessStat(msgspec.Struct, frozen=True):
    """What /proc tells of a living process: its session (the pid of the leader) and its start time
    in clock ticks since boot."""

    session: int
    started: int


def default_dir() -> Path:
    """``~/.local/share/eyrie``, as root ``/var/lib/eyrie``."""
    if os.geteuid() == 0:
        return Path("/var/lib/eyrie")
    base = os.environ.get("XDG_DATA_HOME") or os.path.join(
        os.path.expanduser("~"), ".local", "share"
    )
    return Path(base) / "eyrie"


def of(settings: Settings) -> "DataDir":
    """The data directory that `settings` name."""
    return DataDir(
        Path(settings.data.dir).expanduser().absolute() if settings.data.dir else default_dir()
    )


class DataDir:
    """Paths of one data directory, and its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run = path / "run"
        self.logs = path / "logs"
        self.keys = path / "keys"
        self.audit_checkpoint = path / "audit-checkpoint.json"
        self.settings_file = self.run / "settings.json"

    def prepare(self) -> None:
        """Make the folders. Raises StartError when they cannot be made."""
        mode = 0o711 if os.geteuid() == 0 else 0o700
        try:
            for folder in reversed(
                [self.path, *(parent for parent in self.path.parents if not parent.exists())]
            ):
                _make(folder, mode)
            for folder in (self.run, self.logs, self.keys):
                _make(folder, mode if folder == self.run else 0o700)
        except OSError as error:
            raise StartError(
                f"the data directory {self.path} cannot be used: {error.strerror}",
                hint="Choose another one with --data-dir or EYRIE_DATA_DIR.",
            ) from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock. Raises StartError naming the holder."""
        file: IO[str] = (self.path / "lock").open("a+", encoding="ascii")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise StartError(
                    f"the data directory {self.path} is in use by the process {holder}",
                    hint="Stop that Eyrie first (Ctrl-C there), or use another directory with "
                    "--data-dir.",
                ) from error
            file.seek(0)
            file.truncate()
            file.write(f"{os.getpid()}\n")
            file.flush()
            os.set_inheritable(file.fileno(), False)
            yield

    def socket_folder(self, name: str) -> Path:
        """A folder for Unix sockets: ``run/<name>``, or a private short one below the system's when
        that path is too long for a socket."""
        folder = self.run / name
        if len(os.fsencode(folder)) <= MAX_SOCKET_PATH - 20:
            return folder
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:10]
        return Path(tempfile.gettempdir()) / f"eyrie-{os.geteuid()}-{digest}-{name}"

    def leave_socket_folder(self, name: str) -> None:
        """Remove a folder for sockets that lies outside the data directory: nobody would look for
        it there."""
        folder = self.socket_folder(name)
        if not folder.is_relative_to(self.path):
            shutil.rmtree(folder, ignore_errors=True)

    def look_into(self) -> str:
        """Says which logs are there to look into, the last written first; where there is none, what
        else to do."""
        files = sorted(self.logs.glob("*.log"), key=lambda file: -file.stat().st_mtime)
        return f"Look into {', '.join(map(str, files))}." if files else StartError.hint

    def note(self, name: str, pid: int) -> None:
        """Write down a process of ours."""
        started = start_time(pid)
        if started is not None:
            (self.run / f"{name}.pid").write_bytes(
                msgspec.json.encode(PidRecord(name, pid, started, boot_id()))
            )

    def forget(self, name: str) -> None:
        """The process `name` is gone."""
        (self.run / f"{name}.pid").unlink(missing_ok=True)

    def forget_all(self, prefix: str) -> None:
        """The processes whose names begin with `prefix` are gone."""
        for file in self.run.glob(f"{prefix}*.pid"):
            file.unlink(missing_ok=True)

    def noted(self) -> list[PidRecord]:
        """The processes written down that still live, verified by their start time."""
        return [record for record in self._records() if start_time(record.pid) == record.started]

    def end_leftovers(self) -> list[PidRecord]:
        """End what a killed predecessor left running: politely, then not. Returns it.

        Only verified processes are touched: those written down, and those of the sessions they led
        (each server of ours leads one, so Ray's workers are found when Ray itself is dead already).
        """
        left = self._left()
        for number in (signal.SIGINT, signal.SIGKILL):
            for record in left:
                if start_time(record.pid) == record.started:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(record.pid, number)
            deadline = time.monotonic() + END_S
            while time.monotonic() < deadline and any(start_time(r.pid) == r.started for r in left):
                time.sleep(0.02)  # waits on the processes with a deadline
        for file in self.run.glob("*.pid"):
            file.unlink(missing_ok=True)
        return left

    def _records(self) -> list[PidRecord]:
        records = []
        for file in sorted(self.run.glob("*.pid")):
            try:
                record = msgspec.json.decode(file.read_bytes(), type=PidRecord)
            except (OSError, msgspec.DecodeError):
                continue
            if record.boot in ("", boot_id()):
                records.append(record)
        return records

    def _left(self) -> list[PidRecord]:
        living = processes()
        found: dict[int, PidRecord] = {}
        for record in self._records():
            leader = living.get(record.pid)
            if leader is not None and leader.started != record.started:
                continue  # another program has the pid now, and with it the session
            for pid, now in living.items():
                if pid == record.pid or (
                    record.boot and now.session == record.pid and now.started >= record.started
                ):
                    found.setdefault(pid, PidRecord(record.name, pid, now.started, record.boot))
        own = {os.getpid(), os.getppid()}
        return [record for pid, record in sorted(found.items()) if pid not in own]


def _make(folder: Path, mode: int) -> None:
    """`folder` with exactly that mode, whatever the umask; one that is there stays as it is."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(mode)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def private_folder(path: Path, *owners: int) -> Path:
    """`path` as a folder of ours (or of one of the user ids `owners`), made (0700) when it is not
    there.

    Some of our folders lie in the system's temporary one, where anybody may have put something of
    that name, a link to a place that is not theirs, say. Raises StartError for whatever else is
    there.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise StartError(
            f"the folder {path} cannot be made: {error.strerror}",
            hint="Choose another data directory with --data-dir.",
        ) from error
    around = path.parent.stat()
    if around.st_mode & stat.S_IWOTH and not around.st_mode & stat.S_ISVTX:
        raise StartError(
            f"anybody can replace {path}: {path.parent} is open to all for writing, without the "
            "sticky bit",
            hint=f"chmod +t {path.parent}, or choose another folder with --data-dir or TMPDIR.",
        )
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), *owners):
        raise StartError(
            f"{path} is not a folder of ours",
            hint="Somebody else made it. Remove it, then start again.",
        )
    return path


def boot_id() -> str:
    """The identity of this boot: clock ticks of another one say nothing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def processes() -> dict[int, ProcessStat]:
    """Every living process by pid."""
    found = {}
    for entry in Path("/proc").iterdir():
        told = process_stat(int(entry.name)) if entry.name.isdigit() else None
        if told is not None:
            found[int(entry.name)] = told
    return found


def process_stat(pid: int) -> ProcessStat | None:
    """One process; None when there is none (a zombie counts as none)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else ProcessStat(int(fields[3]), int(fields[19]))


def start_time(pid: int) -> int | None:
    """Start time of a living process in clock ticks since boot; None when there is none (a zombie
    counts as none)."""
    told = process_stat(pid)
    return None if told is None else told.started
