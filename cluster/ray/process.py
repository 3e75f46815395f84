"""A part of Ray as our child, the head or a node: ``ray start --block`` with a token, in a short
folder of its own.

Ray makes its folder writable for everybody, without a sticky bit, whatever it was before
(`_private/utils.py`, `try_to_create_directory`): a stranger could replace what is in it, sockets
and scripts included. So it lies below a folder that only we may enter, and nothing in it is
believed: it says that Ray is up, not where. Ray binds all interfaces for its workers whatever the
node address is; the token is what keeps strangers out, so it is always on. Its own process tree
outlives a `kill -9` of ``ray start``: every process of it is written down in the run folder too.
"""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from actors.core.settings import RaySettings
from cluster.ray.ports import PortClaims, Ports
from storage.embedded.data_dir import DataDir, private_folder, start_time
from storage.embedded.server import ServerProcess

GONE_S = 10.0  # seconds the processes may take to end after ``ray start``
START_S = 60.0  # seconds it may take on a busy machine
OBJECT_STORE_BYTES = 80 * 1024 * 1024  # the least Ray takes; nothing of ours goes through it
# bytes; the longest socket of Ray, /session_<time>_<pid>/sockets/plasma_store, takes 64 more, the
# kernel 107
MAX_TEMP_PATH = 43
RAY_FOLDER = "ray"
# what processes on a joined node read their settings from (`storage.process.settings_files`)
SETTINGS_VARIABLE = "EYRIE_SETTINGS_FILE"

# Knobs of Ray that cut start-up time, threads and noise (Ray 2.60;
# src/ray/common/ray_config_def.h). The head gives a node that does not answer up after about 30 s
# (by default of Ray after 65 s); a raylet whose head is gone ends after 20 s, so that it can join
# the next one.
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
    "RAY_health_check_period_ms": "2000",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "4",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "20",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ROTATION_MAX_BYTES": "16777216",  # of each log of Ray and of its workers' output
    "RAY_ROTATION_BACKUP_COUNT": "3",
}


def environment(token_file: Path, settings_file: Path | None = None) -> dict[str, str]:
    """The environment of Ray and of everything that speaks to it. `settings_file`: what processes
    read that Ray starts on this node."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("RAY_") and name != SETTINGS_VARIABLE
    }
    named = {SETTINGS_VARIABLE: str(settings_file)} if settings_file is not None else {}
    return {**kept, **KNOBS, "RAY_AUTH_TOKEN_PATH": str(token_file), **named}


class RayProcesses:
    """``ray start`` and what it starts. `name` is that of the child, `host` the address by which
    other nodes reach this one."""

    def __init__(
        self, data: DataDir, name: str, *, settings: RaySettings, host: str, cameras: int
    ) -> None:
        self._data = data
        self._child = ServerProcess(name, data)
        self._settings = settings
        self._cameras = cameras
        self._claims = PortClaims()
        self.host = host
        digest = hashlib.sha256(os.fsencode(data.path)).hexdigest()[:10]
        self._closed = Path(tempfile.gettempdir()) / f"eyrie-ray-{os.geteuid()}-{digest}"
        if len(os.fsencode(self._closed / RAY_FOLDER)) > MAX_TEMP_PATH:
            self._closed = Path("/tmp") / self._closed.name
        self._temp = self._closed / RAY_FOLDER

    def alive(self) -> bool:
        """True while ``ray start`` runs; it ends when any part of it dies."""
        return self._child.alive()

    def start(
        self, arguments: Sequence[str], variables: Mapping[str, str], *, taken: int = 0
    ) -> None:
        """Run ``ray start`` with `arguments` beside those that head and nodes share. Raises
        StartError when the range has no free port.

        `taken`: a port of the range that is spoken for.
        """
        os.chmod(
            private_folder(self._closed), 0o700
        )  # first: from here on nobody else can put anything in it
        shutil.rmtree(self._temp, ignore_errors=True)
        ports = Ports.chosen(
            self._settings.port_min, self._settings.port_max, taken=taken, claims=self._claims
        )
        self._child.spawn(
            [
                sys.executable,
                "-m",
                "ray.scripts.scripts",
                "start",
                *arguments,
                "--block",
                f"--node-ip-address={self.host}",
                *ports.arguments(),
                "--include-log-monitor=false",
                "--disable-usage-stats",
                f"--temp-dir={self._temp}",
                f"--object-store-memory={OBJECT_STORE_BYTES}",
                f"--resources={json.dumps({'camera_slot': self._cameras})}",
                "--log-style=record",
                "--log-color=false",
            ],
            environment=variables,
        )

    def wait_joined(self) -> None:
        """Wait until the start is complete. Raises StartError."""
        joined = self._temp / "ray_current_cluster"
        self._child.wait_ready(lambda: joined.exists() and joined.stat().st_size > 0, START_S)
        self.note_processes()

    def note_processes(self) -> None:
        """Write down the processes, so that the next start can end them should all of us be
        killed."""
        for pid in descendants(self._child.pid):
            self._data.note(f"ray-{pid}", pid)

    def stop(self) -> None:
        """End all of it."""
        family = (
            {pid: start_time(pid) for pid in descendants(self._child.pid)}
            if self._child.alive()
            else {}
        )
        self._child.stop()
        wait_gone(family, GONE_S)
        self._claims.release()
        self._data.forget_all("ray-")
        shutil.rmtree(self._closed, ignore_errors=True)


def descendants(pid: int) -> list[int]:
    """All living descendants of a process, by /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (
                (entry / "stat")
                .read_text(encoding="ascii", errors="replace")
                .rpartition(")")[2]
                .split()
            )
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
    """Wait until no process of `family` (pid → start time) is left; those that are then, are
    killed."""
    deadline = time.monotonic() + timeout_s
    while left := [
        pid for pid, started in family.items() if started is not None and start_time(pid) == started
    ]:
        if time.monotonic() > deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.02)
