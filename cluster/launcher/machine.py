"""Measures what `cluster.launcher.machine_checks` judges: this machine, as the settings will use
it. Linux, by /proc."""

import contextlib
import errno
import os
import resource
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from actors.core.errors import StartError
from actors.core.settings import Settings
from cluster.launcher import machine_checks
from cluster.launcher.machine_checks import CheckResult, Disk, MachineFacts, Port
from storage.embedded.data_dir import DataDir
from storage.process import disk_room

LISTENING = "0A"  # of a socket in /proc/net/tcp
KIB = 1024
CGROUP = Path("/sys/fs/cgroup")


def measure(settings: Settings, data: DataDir, *, node: bool = False) -> MachineFacts:
    """Now. `node`: this machine joins a cluster, and starts no database and no hub of its own
    accord."""
    soft, hard = _files()
    wanted = disk_room.needs(data.path, database=not node and not settings.postgres.dsn)
    return MachineFacts(
        python=(sys.version_info.major, sys.version_info.minor),
        files_soft=soft,
        files_hard=hard,
        disks=[_disk(folders, size) for folders, size in disk_room.disks(wanted)],
        memory=available_memory(),
        ports=list(_ports(settings, data, node=node)),
        data_dir=str(data.path),
        unusable=_unusable(data.path),
        clock=time.time(),
        newest=_newest(data),
    )


def prepare(settings: Settings, data: DataDir, *, node: bool = False) -> list[CheckResult]:
    """What `eyrie up` does first: raise the limit of descriptors, check everything; the warnings.
    Raises StartError for what failed."""
    found = machine_checks.findings(measure(settings, data, node=node))
    failed = machine_checks.failed(found)
    if failed:
        raise StartError(
            "; ".join(one.found for one in failed), hint=" ".join(one.next_step for one in failed)
        )
    soft, hard = _files()
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (machine_checks.raised(soft, hard), hard)
    )  # what is started from here on inherits it
    return [one for one in found if one.verdict == "warning"]


def available_memory(proc: Path = Path("/proc"), cgroup: Path = CGROUP) -> int | None:
    """Bytes that processes may still take: of the machine, and of the control groups (version 2)
    that this process is in."""
    told = [
        size
        for line in _lines(proc / "meminfo")
        if (size := _kibibytes(line, "MemAvailable:")) is not None
    ]
    own = next(
        (
            line.partition("::")[2]
            for line in _lines(proc / "self" / "cgroup")
            if line.startswith("0::")
        ),
        None,
    )
    if own is not None:
        inside = cgroup / own.strip("/")
        told += [
            left
            for folder in (inside, *inside.parents)
            if folder.is_relative_to(cgroup) and (left := _left(folder)) is not None
        ]
    return min(told, default=None)


def holder(port: int, proc: Path = Path("/proc")) -> tuple[int, str] | None:
    """The process that listens on a TCP port, with its name; None where nobody does or where it is
    not ours to see."""
    inodes = {
        f"socket:[{inode}]"
        for name in ("tcp", "tcp6")
        for inode in _listening(proc / "net" / name, port)
    }
    for entry in proc.iterdir() if inodes else ():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if any(_target(link) in inodes for link in (entry / "fd").iterdir()):
                return int(entry.name), (entry / "comm").read_text(
                    encoding="utf-8", errors="replace"
                ).strip()
    return None


def _files() -> tuple[int, int]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = sys.maxsize  # what "unlimited" is: RLIM_INFINITY is -1
    return (most if soft == resource.RLIM_INFINITY else soft), (
        most if hard == resource.RLIM_INFINITY else hard
    )


def _disk(folders: list[Path], size: int) -> Disk:
    there = disk_room.existing(folders[0])
    counted = os.statvfs(there)
    return Disk(
        [str(folder) for folder in folders],
        size,
        shutil.disk_usage(there).free,
        counted.f_favail if counted.f_files else None,
    )


def _unusable(path: Path) -> str:
    there = disk_room.existing(path)
    if not there.is_dir():
        return f"{there} is no folder"
    if not os.access(there, os.W_OK | os.X_OK):
        return os.strerror(errno.EROFS if os.statvfs(there).f_flag & os.ST_RDONLY else errno.EACCES)
    return ""


def _newest(data: DataDir) -> float | None:
    folders = [
        folder
        for folder in (data.path, data.run, data.logs)
        if os.access(folder, os.R_OK | os.X_OK)
    ]
    return max(
        (file.lstat().st_mtime for folder in folders for file in folder.iterdir()), default=None
    )


def _ports(settings: Settings, data: DataDir, *, node: bool) -> Iterator[Port]:
    asked = [("metrics.port", settings.metrics.host, settings.metrics.port, True)]
    if (
        not node and not settings.ray.address
    ):  # elsewhere hubs outlive a launcher and share the port (`hub.server.listeners`)
        asked.append(("hub.port", settings.hub.host, settings.hub.port, True))
        asked.append(
            ("cluster.api_port", settings.cluster.api_host, settings.cluster.api_port, False)
        )
        asked.append(("ray.port", settings.ray.host or "127.0.0.1", settings.ray.port, True))
    own = (
        {record.pid for record in data.noted()} if os.access(data.run, os.R_OK | os.X_OK) else set()
    )
    for setting, host, port, needed in asked:
        if not port:
            continue
        problem = _problem(host, port)
        found = holder(port) if problem else None
        named = "" if found is None else f"{found[1]} (process {found[0]})"
        yield Port(
            setting,
            host,
            port,
            problem,
            named,
            ours=found is not None and _belongs(found[0], own),
            needed=needed,
        )


def _belongs(pid: int, own: set[int]) -> bool:
    """Whether the process or one that started it is one of `own`."""
    while pid > 1:
        if pid in own:
            return True
        fields = _lines(Path(f"/proc/{pid}/status"))
        pid = next((int(line.split()[1]) for line in fields if line.startswith("PPid:")), 0)
    return False


def _problem(host: str, port: int) -> str:
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _listening(table: Path, port: int) -> Iterator[str]:
    for line in _lines(table)[1:]:
        fields = line.split()
        if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
            yield fields[9]


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


def _left(folder: Path) -> int | None:
    """Bytes a control group has left; what its files hold in the page cache is given back on
    demand."""
    try:
        limit, used = (
            (folder / f"memory.{name}").read_text(encoding="ascii").strip()
            for name in ("max", "current")
        )
    except OSError:
        return None
    if limit == "max":
        return None
    cached = next(
        (
            int(line.split()[1])
            for line in _lines(folder / "memory.stat")
            if line.startswith("inactive_file ")
        ),
        0,
    )
    return max(0, int(limit) - int(used) + cached)


def _kibibytes(line: str, name: str) -> int | None:
    return int(line.split()[1]) * KIB if line.startswith(name) else None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
