"""A private Ray head: ``ray start --head --block`` as our child, on loopback, with a token, in a short folder of its own.

Ray binds all interfaces for its workers whatever the node address is; the token is what keeps strangers out (docs/security notes), so it
is always on. Its own process tree outlives a `kill -9` of ``ray start``: every process of it is written down in the run folder too.
"""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from storage.data_dir import DataDir, private_folder, start_time
from storage.embedded import Child

GONE_S = 10.0  # seconds the head's processes may take to end after it
START_S = 60.0  # seconds the head may take on a busy machine
NODE = "127.0.0.2"  # a loopback address that Ray does not turn into the machine's public one, as it does 127.0.0.1
OBJECT_STORE_BYTES = 80 * 1024 * 1024  # the least Ray takes; nothing of ours goes through it
MAX_TEMP_PATH = 60  # bytes; Ray appends about 45 to it for its sockets

# Knobs of Ray that cut start-up time, threads and noise (Ray 2.60; src/ray/common/ray_config_def.h).
KNOBS = {
    "RAY_AUTH_MODE": "token",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    "RAY_worker_niceness": "0",
    "RAY_worker_num_grpc_internal_threads": "1",
    "RAY_task_events_report_interval_ms": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_event_stats": "0",
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_health_check_timeout_ms": "20000",
    "RAY_DEDUP_LOGS": "0",
}


def environment(token_file: Path) -> dict[str, str]:
    """The environment of Ray and of everything that speaks to it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {**kept, **KNOBS, "RAY_AUTH_TOKEN_PATH": str(token_file)}


class RayHead:
    """`spawn`, `wait`, then use :attr:`address`."""

    def __init__(self, data: DataDir, *, cameras: int) -> None:
        self._data = data
        self._child = Child("ray", data)
        self._cameras = cameras
        self.token_file = data.keys / "ray.token"
        digest = hashlib.sha256(os.fsencode(data.path)).hexdigest()[:10]
        self._temp = Path(tempfile.gettempdir()) / f"eyrie-ray-{os.geteuid()}-{digest}"
        if len(os.fsencode(self._temp)) > MAX_TEMP_PATH:
            self._temp = Path("/tmp") / self._temp.name
        self.address = ""

    def alive(self) -> bool:
        """True while ``ray start`` runs; it ends when any part of the head dies."""
        return self._child.alive()

    def spawn(self) -> None:
        """Start the head; it takes a few seconds: :meth:`wait` for it."""
        ensure_token(self.token_file)
        shutil.rmtree(self._temp, ignore_errors=True)
        os.chmod(private_folder(self._temp), 0o700)
        self._child.spawn(
            [
                sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--node-ip-address={NODE}", "--port=0",
                "--include-dashboard=false",
                "--include-log-monitor=false", "--disable-usage-stats", f"--temp-dir={self._temp}",
                f"--object-store-memory={OBJECT_STORE_BYTES}", f"--resources={json.dumps({'camera_slot': self._cameras})}",
                "--no-monitor", "--log-style=record", "--log-color=false",
            ],
            environment=environment(self.token_file),
        )  # fmt: skip

    def wait(self) -> None:
        """Wait until the head can be joined. Raises StartError."""
        joined = self._temp / "ray_current_cluster"
        self._child.wait_ready(lambda: joined.exists() and bool(joined.read_text(encoding="ascii").strip()), START_S)
        self.address = joined.read_text(encoding="ascii").strip()
        self.note_processes()

    def note_processes(self) -> None:
        """Write down the head's processes, so that the next start can end them should all of us be killed."""
        for pid in descendants(self._child.pid):
            self._data.note(f"ray-{pid}", pid)

    def stop(self) -> None:
        """End the head and all its processes."""
        family = {pid: start_time(pid) for pid in descendants(self._child.pid)} if self._child.alive() else {}
        self._child.stop()
        wait_gone(family, GONE_S)
        self._data.forget_all("ray-")
        shutil.rmtree(self._temp, ignore_errors=True)


def ensure_token(path: Path) -> None:
    """A random token in `path` (0600), made when there is none."""
    if path.exists():
        return
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32))


def descendants(pid: int) -> list[int]:
    """All living descendants of a process, by /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        for child in children.get(todo.pop(), []):
            found.append(child)
            todo.append(child)
    return found


def wait_gone(family: Mapping[int, int | None], timeout_s: float) -> None:
    """Wait until no process of `family` (pid → start time) is left; those that are then, are killed."""
    deadline = time.monotonic() + timeout_s
    while left := [pid for pid, started in family.items() if started is not None and start_time(pid) == started]:
        if time.monotonic() > deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.02)
