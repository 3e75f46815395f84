"""Embedded servers as foreground children: each dies with us (parent-death signal), has its pid in
the run folder and a log of its own."""

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from actors.core.errors import StartError
from storage.bounded_log import BoundedLog, pump
from storage.embedded.data_dir import DataDir
from storage.embedded.server_user import ServerUser

START_S = 30.0  # seconds a server may take to answer
STOP_S = 20.0  # seconds a server may take to end when asked
POLL_S = 0.02
MAX_LOG_BYTES = 16 * 1024 * 1024  # of a server's log; a longer one is put aside
LOG_FILES = 3  # of each server that were put aside
LOG_END_S = 1.0  # how long the end of an ended server's output is waited for
LOG_LINES = 12  # lines of the server's log shown with an error
PR_SET_PDEATHSIG = 1  # prctl(2)

_libc = ctypes.CDLL(None, use_errno=True)


class ServerProcess:
    """One server process in our care."""

    def __init__(self, name: str, data: DataDir, user: ServerUser | None = None) -> None:
        self.name = name
        self._data = data
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None
        self._pump: threading.Thread | None = None

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
        self,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        death_signal: signal.Signals = signal.SIGTERM,
        stdout: int | None = None,
    ) -> "subprocess.Popen[bytes]":
        """Start it in a session of its own (a Ctrl-C on the terminal is ours to pass on). Raises
        OSError, a full disk say: then it does not run."""
        number, parent = int(death_signal), os.getpid()

        def die_with_parent() -> None:
            signal.pthread_sigmask(
                signal.SIG_SETMASK, ()
            )  # a mask is inherited, and would hold the death signal back
            _libc.prctl(PR_SET_PDEATHSIG, number)
            if os.getppid() != parent:
                os.kill(os.getpid(), number)

        other = self._user if self._user is not None and self._user.other else None
        file = BoundedLog(self.log_file, max_bytes=MAX_LOG_BYTES, files=LOG_FILES)
        source, log = os.pipe()
        self._pump = pump(source, file, self.name)
        try:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=log,
                cwd=folder or self._data.path,
                env=dict(environment) if environment is not None else None,
                start_new_session=True,
                preexec_fn=die_with_parent,
                user=other.uid if other else None,
                group=other.gid if other else None,
                extra_groups=[] if other else None,
            )
        finally:
            os.close(log)
        try:
            self._data.note(self.name, self._process.pid)
        except OSError:  # a full disk: whoever ends what we leave behind would not find it
            self.stop(signal.SIGKILL)
            raise
        return self._process

    def wait_ready(self, ready: Callable[[], bool], timeout_s: float = START_S) -> None:
        """Wait until `ready`. Raises StartError with the end of the log when it ends or takes
        longer."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if not self.alive():
                raise StartError(
                    f"{self.name} ended while starting:\n{self.log_tail()}",
                    hint=f"The whole log is in {self.log_file}.",
                )
            if time.monotonic() > deadline:
                raise StartError(
                    f"{self.name} did not answer in {timeout_s:g} s:\n{self.log_tail()}",
                    hint=f"The log is in {self.log_file}.",
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
        if self._pump is not None and not self.alive():
            self._pump.join(LOG_END_S)
        try:
            lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return "(no log)"
        return "\n".join(f"    {line}" for line in lines[-LOG_LINES:])
