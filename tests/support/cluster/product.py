"""The product as a user starts it: `eyrie up` as a child process on a data directory of its own,
stopped or killed by the test."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from cluster.ray.process import descendants
from policy.identity.tokens import issue
from storage.embedded.data_dir import DataDir, start_time
from storage.postgres.pool import Database
from storage.process.settings_files import read_resolved
from tests.support.waiting import block_until

ROOT = Path(__file__).resolve().parents[3]
READY_S = 120.0
STOP_S = 90.0
COMMAND = [sys.executable, "-m", "cluster.cli.main"]


@contextlib.contextmanager
def data_folder() -> Iterator[Path]:
    """A data directory that PostgreSQL's own user may reach (a test's usual temporary folder is
    closed to it), removed at the end."""
    path = Path(tempfile.mkdtemp(prefix="eyrie-"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def eyrie(
    *arguments: str | Path, timeout_s: float = 120.0, env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run an `eyrie` command to its end; output as text."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
    )


class Product:
    """A running `eyrie up`."""

    def __init__(
        self, path: Path, arguments: Sequence[str] = (), env: Mapping[str, str] | None = None
    ) -> None:
        self.data = DataDir(path)
        with (path / "up.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*COMMAND, "up", "--json", "--port", "0", "--data-dir", str(path), *arguments],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            )
        self.ready: dict[str, Any] = {}

    def wait_ready(self) -> None:
        """Wait for the line that tells where it is."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"eyrie up ended:\n{self.log()}"
        self.ready = json.loads(line)
        assert self.ready["ready"] is True

    @property
    def pid(self) -> int:
        """The launcher's process id."""
        return self._process.pid

    def reap(self) -> None:
        """Wait for a launcher that the test killed."""
        self._process.communicate(timeout=STOP_S)

    @property
    def url(self) -> str:
        """The console's address."""
        return str(self.ready["url"])

    @cached_property
    def token(self) -> str:
        """An administrator's, as `eyrie token` makes it."""
        auth = read_resolved(self.data.settings_file).auth
        return issue(
            auth,
            sub="operator",
            typ="user",
            jti="t",
            now_s=time.time(),
            roles=["admin"],
            sites=["*"],
            scopes=["pii:read"],
        )

    def log(self) -> str:
        """What it said on standard error."""
        return (self.data.path / "up.log").read_text(encoding="utf-8", errors="replace")

    def processes(self) -> list[int]:
        """Every process of the instance: its tree, and what the run folder names."""
        return sorted(
            {
                self._process.pid,
                *descendants(self._process.pid),
                *(record.pid for record in self.data.noted()),
            }
        )

    def kill_everything(self) -> list[int]:
        """`kill -9` for the whole tree and the run folder's pids, at once; the pids."""
        pids = self.processes()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        self._process.communicate(timeout=STOP_S)
        block_until(
            lambda: not any(start_time(pid) is not None for pid in pids),
            "the killed processes are gone",
        )
        return pids

    def kill_launcher(self) -> None:
        """`kill -9` for `eyrie up` alone: what it started must end by itself."""
        self._process.kill()
        self._process.communicate(timeout=STOP_S)

    def stop(self) -> dict[str, Any]:
        """Ctrl-C; the last line it printed. Fails when a process is left."""
        if self._process.poll() is not None:
            self._process.communicate(timeout=STOP_S)
            return {}
        pids = self.processes()
        started = {pid: start_time(pid) for pid in pids}
        self._process.send_signal(signal.SIGINT)
        rest, _ = self._process.communicate(timeout=STOP_S)
        left = [pid for pid in pids if started[pid] is not None and start_time(pid) == started[pid]]
        assert not left, f"processes {left} outlived Ctrl-C"
        lines = rest.strip().splitlines()
        return dict(json.loads(lines[-1])) if lines else {}


@contextlib.contextmanager
def product(path: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Product]:
    """`eyrie up` that is ready, and stopped (in order, if it still runs) at the end."""
    running = Product(path, arguments, env)
    try:
        running.wait_ready()
        yield running
    finally:
        running.stop()


def committed_seqs(data: DataDir) -> int:
    """How many observations are committed, over all cameras and their current sessions."""

    async def read() -> int:
        database = await Database.open(
            read_resolved(data.settings_file).postgres, name="test", size=1
        )
        try:
            return int(
                await database.fetch_value(
                    "SELECT coalesce(sum(last_seq), 0)::bigint FROM positions"
                )
            )
        finally:
            await database.close()

    return asyncio.run(read())
