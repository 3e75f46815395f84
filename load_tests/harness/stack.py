"""A private Eyrie for load tests: `eyrie up` as a child on a data directory and ports of its own,
its processor time, its edge tokens."""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from actors.core.errors import EyrieError, StartError
from actors.core.settings import Settings
from cluster.ray.process import descendants, environment
from load_tests.harness.shifted_clock import ShiftedClock
from policy.identity.tokens import issue
from storage.embedded.data_dir import DataDir
from storage.ports.processes import HubRecord
from storage.process.settings_files import read_resolved
from storage.stores import open_stores

READY_S = 180.0
STOP_S = 90.0
HUB_AGE_S = 5.0  # a hub that recorded itself longer ago is gone
_TICKS = os.sysconf("SC_CLK_TCK")
_ROOT = Path(__file__).resolve().parents[2]


def python_path() -> str:
    """Where children find the product: here, before whatever the environment names."""
    return os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


class Stack:
    """A running Eyrie without a simulated site."""

    def __init__(
        self,
        data: DataDir,
        process: "subprocess.Popen[str]",
        ready: Mapping[str, Any],
        clock: ShiftedClock | None = None,
    ) -> None:
        self._hubs: tuple[float, list[HubRecord]] | None = None
        self.data = data
        self.process = process
        self.clock = clock  # that its processes go by, where it is one of their own
        self.settings: Settings = read_resolved(data.settings_file)
        host_and_port = str(ready["url"]).removeprefix("http://").rstrip("/")
        self.host, self.port = (
            host_and_port.rpartition(":")[0],
            int(host_and_port.rpartition(":")[2]),
        )

    def token(self) -> str:
        """An edge token for every site."""
        return issue(
            self.settings.auth,
            sub="bench",
            typ="edge",
            jti=secrets.token_hex(8),
            now_s=time.time(),
            roles=("edge",),
            sites=("*",),
        )

    def viewer_token(self, user: str = "bench") -> str:
        """A dashboard's token for every site. Users have a limit of connections each."""
        return issue(
            self.settings.auth,
            sub=user,
            typ="user",
            jti=secrets.token_hex(8),
            now_s=time.time(),
            roles=("viewer",),
            sites=("*",),
        )

    def register(self, cameras: Sequence[str], site: str, scene: bytes) -> None:
        """Add cameras with one and the same scene (JSON)."""

        async def add() -> None:
            stores = await open_stores(self.settings, name="bench")
            try:
                for camera in cameras:
                    await stores.registry.register(camera, site, scene=scene)
            finally:
                await stores.close()

        asyncio.run(add())

    def processes(self) -> list[int]:
        """Every process of the product."""
        return sorted(
            {
                self.process.pid,
                *descendants(self.process.pid),
                *(record.pid for record in self.data.noted()),
            }
        )

    def kinds(self) -> dict[int, str]:
        """The kind of every process of the product, by pid."""
        found: dict[int, str] = {}
        for pid in self.processes():
            with contextlib.suppress(OSError):
                found[pid] = _kind(
                    Path(f"/proc/{pid}/cmdline")
                    .read_bytes()
                    .replace(b"\0", b" ")
                    .decode(errors="replace")
                )
        return found

    def cpu_of_processes(self) -> dict[str, float]:
        """Processor seconds used so far by each process, named ``<kind> <pid>`` (kinds: ``hub``,
        ``camera``, ``postgres``, ``redis``, ``ray``, ``other``)."""
        found: dict[str, float] = {}
        for pid in self.processes():
            with contextlib.suppress(OSError):
                title = (
                    Path(f"/proc/{pid}/cmdline")
                    .read_bytes()
                    .replace(b"\0", b" ")
                    .decode(errors="replace")
                )
                fields = (
                    Path(f"/proc/{pid}/stat")
                    .read_text(encoding="ascii", errors="replace")
                    .rpartition(")")[2]
                    .split()
                )
                found[f"{_kind(title)} {pid}"] = (int(fields[11]) + int(fields[12])) / _TICKS
        return found

    def rss_bytes(self) -> dict[str, int]:
        """Resident memory by kind of process; pages that processes share count in each."""
        found: dict[str, int] = {}
        for pid in self.processes():
            with contextlib.suppress(OSError):
                kind = _kind(
                    Path(f"/proc/{pid}/cmdline")
                    .read_bytes()
                    .replace(b"\0", b" ")
                    .decode(errors="replace")
                )
                pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
                found[kind] = found.get(kind, 0) + pages * os.sysconf("SC_PAGE_SIZE")
        return found

    def pss_bytes(self) -> dict[str, int]:
        """Proportional set size by kind of process: a page that n processes share counts an n-th in
        each (proc(5), smaps_rollup)."""
        found: dict[str, int] = {}
        for pid in self.processes():
            with contextlib.suppress(OSError):
                kind = _kind(
                    Path(f"/proc/{pid}/cmdline")
                    .read_bytes()
                    .replace(b"\0", b" ")
                    .decode(errors="replace")
                )
                lines = (
                    Path(f"/proc/{pid}/smaps_rollup")
                    .read_text(encoding="ascii", errors="replace")
                    .splitlines()
                )
                found[kind] = found.get(kind, 0) + sum(
                    int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")
                )
        return found

    def opened(self) -> dict[str, int]:
        """Open files and threads by kind of process, as ``<kind> files`` and ``<kind> threads``."""
        found: dict[str, int] = {}
        for pid in self.processes():
            with contextlib.suppress(OSError):
                kind = _kind(
                    Path(f"/proc/{pid}/cmdline")
                    .read_bytes()
                    .replace(b"\0", b" ")
                    .decode(errors="replace")
                )
                for what, folder in (("files", "fd"), ("threads", "task")):
                    name = f"{kind} {what}"
                    found[name] = found.get(name, 0) + len(os.listdir(f"/proc/{pid}/{folder}"))
        return found

    def hubs(self) -> list[HubRecord]:
        """The hubs that live, as PostgreSQL has them."""

        async def read() -> list[HubRecord]:
            stores = await open_stores(self.settings, name="bench")
            try:
                return [record for record in await stores.hubs.all() if record.age_s < HUB_AGE_S]
            finally:
                await stores.close()

        return asyncio.run(read())

    def signal_actor(self, number: signal.Signals, pid: int = 0) -> int:
        """Send a signal to an actor process of cameras (`pid`, or any); its pid, or 0 where there
        is none. Processes of others are not touched."""

        async def read() -> list[int]:
            stores = await open_stores(self.settings, name="bench")
            try:
                return [record.pid for record in await stores.actors.all() if record.pid]
            finally:
                await stores.close()

        for one in [pid] if pid else asyncio.run(read()):
            if one in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, number)
                    return one
        return 0

    def metric(self, name: str) -> float:
        """The sum of a metric without labels over all hubs; one that does not answer counts
        nothing."""
        return sum(self.metric_of_hubs(name))

    def metric_of_hubs(self, name: str, *, known_s: float = 0.0) -> list[float]:
        """The same, for every hub that answers. Which hubs there are is read again after `known_s`
        seconds."""
        if not self._hubs or time.monotonic() - self._hubs[0] >= known_s:
            known = self._hubs[1] if self._hubs else []
            with contextlib.suppress(EyrieError):  # a store is away: those known last are asked
                known = self.hubs()
            self._hubs = (time.monotonic(), known)
        found = []
        for record in self._hubs[1]:
            with contextlib.suppress(OSError):
                with urllib.request.urlopen(
                    f"http://127.0.0.1:{record.private_port}/metrics", timeout=5
                ) as answer:
                    lines = answer.read().decode().splitlines()
                found.append(
                    sum(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))
                )
        return found

    def deploy(self) -> "subprocess.Popen[str]":
        """Begin to replace the hubs one by one (`load_tests.drivers.ray_rolling_deploy`)."""
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "load_tests.drivers.ray_rolling_deploy",
                str(self.data.settings_file),
            ],
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**environment(Path(self.settings.ray.token_file)), "PYTHONPATH": python_path()},
        )

    @contextlib.contextmanager
    def counting(self) -> Iterator["Counting"]:
        """Counters of the camera actors."""
        child = subprocess.Popen(
            [sys.executable, "-m", "load_tests.harness.actor_counts", str(self.data.settings_file)],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**environment(Path(self.settings.ray.token_file)), "PYTHONPATH": python_path()},
        )
        try:
            yield Counting(child)
        finally:
            child.communicate(timeout=STOP_S)


class Counting:
    """A child that asks the actors over Ray."""

    def __init__(self, child: "subprocess.Popen[str]") -> None:
        self._child = child

    def read(self) -> dict[str, int]:
        """The sum over all actors of what `CommitLoop.counts` holds."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write("\n")
        self._child.stdin.flush()
        for line in self._child.stdout:
            if line.startswith("{"):  # Ray writes here too
                return msgspec.json.decode(line, type=dict[str, int])
        raise StartError("the child that asks the actors for their counters ended")


_KINDS = {
    "RayHub": "hub",
    "RayCamera": "camera",
    "postgres": "postgres",
    "redis": "redis",
    "ray": "ray",
}


def _kind(title: str) -> str:
    return next((kind for word, kind in _KINDS.items() if word in title), "other")


@contextlib.contextmanager
def stack(
    env: Mapping[str, str] | None = None, *, clock: bool = False, disk_bytes: int = 0
) -> Iterator[Stack]:
    """Start everything, stop everything. `env`: settings as ``EYRIE_<SECTION>_<KEY>``. `clock`: it
    goes by a clock of its own that can be shifted; `disk_bytes`: its data directory is a file
    system of that size, where this process may mount one. Raises StartError."""
    path = Path(tempfile.mkdtemp(prefix="eyrie-bench-"))
    shifted = Path(tempfile.mkdtemp(prefix="eyrie-clock-"))
    for folder in (path, shifted):
        folder.chmod(0o711)  # PostgreSQL may run as a user of its own
    mounted = bool(disk_bytes) and os.geteuid() == 0 and not _mount(path, disk_bytes)
    try:
        own = ShiftedClock(shifted) if clock else None
        with (path / "up.log").open("ab") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "cluster.cli.main",
                    "up",
                    "--json",
                    "--port",
                    "0",
                    "--no-simulate",
                    "--data-dir",
                    str(path),
                ],
                cwd=_ROOT,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={
                    **os.environ,
                    "PYTHONPATH": python_path(),
                    **(env or {}),
                    **(own.environment() if own else {}),
                },
            )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise StartError(
                    "eyrie up ended: "
                    f"{(path / 'up.log').read_text(encoding='utf-8', errors='replace')[-2000:]}"
                )
            yield Stack(DataDir(path), process, msgspec.json.decode(line), own)
        finally:
            _stop(process)
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(path)], check=False)
        for folder in (path, shifted):
            shutil.rmtree(folder, ignore_errors=True)


def _mount(folder: Path, size: int) -> int:
    """A file system in memory; the exit status of mount(8)."""
    command = [
        "mount",
        "-t",
        "tmpfs",
        "-o",
        f"size={size},mode=711",
        "eyrie-load-test",
        str(folder),
    ]
    return subprocess.run(command, check=False, capture_output=True).returncode


def _stop(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=STOP_S)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.communicate()
        raise StartError(f"eyrie up did not stop within {STOP_S:g} s") from error


def committed(settings: Settings, cameras: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Camera → (session, last committed seq), as PostgreSQL has it."""

    async def read() -> dict[str, tuple[str, int]]:
        stores = await open_stores(settings, name="bench")
        try:
            rows = await stores.cameras.ownership(cameras)
        finally:
            await stores.close()
        return {
            camera: (row.position.session, row.position.last_seq) for camera, row in rows.items()
        }

    try:
        return asyncio.run(read())
    except EyrieError as error:
        raise StartError(f"what was committed cannot be read: {error}") from error
