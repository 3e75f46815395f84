"""What this machine must have before Eyrie starts: values in, findings out (pure).
`cluster.launcher.machine` measures the values.

A check that fails is one with which a start would end badly or serve nobody; one that warns leaves
a bound that people should know.
"""

import datetime
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

import msgspec

MIB: Final = 1024 * 1024
OLDEST_PYTHON: Final = (3, 11)
NEWEST_PYTHON: Final = (3, 14)
# descriptors of one process: a hub holds about 100 with nobody connected, a busy PostgreSQL backend
# 1,000
LEAST_FILES: Final = 1_024
GOOD_FILES: Final = 8_192
WANTED_FILES: Final = 65_536  # what the soft limit is raised to, as far as the hard one allows
KEPT_FILES: Final = 200  # of a hub, for what is no connection
LEAST_MEMORY: Final = (
    896 * MIB
)  # a stack of one hub and 8 simulated cameras takes about this (proportional set size)
GOOD_MEMORY: Final = 2_048 * MIB
LEAST_INODES: Final = 4_096  # a first start makes about 1,700 files
EARLIEST: Final = 1_767_225_600.0  # 2026-01-01 UTC: before it no release of this was made
LATEST: Final = 4_102_444_800.0  # 2100-01-01 UTC
BACKWARDS_S: Final = 120.0  # seconds that files of the data directory may lie ahead of the clock

Verdict = Literal["ok", "warning", "failed"]


class CheckResult(msgspec.Struct, frozen=True):
    """What one check found. `next_step` says what to do, and is empty where there is nothing to
    do."""

    check: str
    verdict: Verdict
    found: str
    next_step: str = ""


class Disk(msgspec.Struct, frozen=True):
    """Folders on one disk: bytes that a start needs there, bytes and inodes that are free. `inodes`
    None: the system counts none."""

    folders: list[str]
    needed: int
    free: int
    inodes: int | None = None


class Port(msgspec.Struct, frozen=True):
    """A port that is asked for by `setting`. `problem`: why it cannot be listened on; `holder`: the
    program that has it, if that is known.

    `ours`: whoever has it belongs to the Eyrie that runs on this data directory. `needed`: nothing
    is served without it.
    """

    setting: str
    host: str
    port: int
    problem: str = ""
    holder: str = ""
    ours: bool = False
    needed: bool = True


class MachineFacts(msgspec.Struct, frozen=True):
    """What was measured. Limits are counts, `memory` bytes that processes may still take (None:
    unknown), times seconds since 1970.

    `unusable`: why the data directory cannot be written to. `newest`: when a file of the data
    directory was last written, None for none.
    """

    python: tuple[int, int]
    files_soft: int
    files_hard: int
    disks: list[Disk]
    memory: int | None
    ports: list[Port]
    data_dir: str
    unusable: str
    clock: float
    newest: float | None = None


def findings(machine: MachineFacts) -> list[CheckResult]:
    """All of them, in the order in which they are told."""
    return [
        _python(machine.python),
        _files(machine.files_soft, machine.files_hard),
        _memory(machine.memory),
        _data_dir(machine.data_dir, machine.unusable),
        *(_disk(disk) for disk in machine.disks),
        *_ports(machine.ports),
        _clock(machine.clock, machine.newest),
    ]


def failed(found: Iterable[CheckResult]) -> list[CheckResult]:
    """Those with which no start is tried."""
    return [one for one in found if one.verdict == "failed"]


def raised(soft: int, hard: int) -> int:
    """The soft limit of descriptors to set: as wanted, within the hard one, and never less than it
    is."""
    return max(soft, min(hard, WANTED_FILES))


def _python(version: tuple[int, int]) -> CheckResult:
    name = f"Python {version[0]}.{version[1]}"
    if OLDEST_PYTHON <= version <= NEWEST_PYTHON:
        return CheckResult("python", "ok", name)
    wanted = f"{OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} to {NEWEST_PYTHON[0]}.{NEWEST_PYTHON[1]}"
    return CheckResult(
        "python",
        "failed",
        f"{name}; {wanted} is needed",
        "Install one of these and make the environment anew.",
    )


def _files(soft: int, hard: int) -> CheckResult:
    most = raised(soft, hard)
    told = f"a process may open {most:,} files and sockets"
    if most < LEAST_FILES:
        more = (
            f"Raise the hard limit: `ulimit -Hn {WANTED_FILES}` as root, or "
            f"LimitNOFILE={WANTED_FILES} in the service."
        )
        return CheckResult(
            "descriptors", "failed", f"{told}; {LEAST_FILES:,} are needed to serve at all", more
        )
    if most < GOOD_FILES:
        few = f"{told}: a hub serves about {most - KEPT_FILES:,} connections"
        return CheckResult(
            "descriptors",
            "warning",
            few,
            f"For more, raise the hard limit (LimitNOFILE={WANTED_FILES}).",
        )
    if most > soft:
        told += f" (the limit of {soft:,} is raised at the start)"
    return CheckResult("descriptors", "ok", told)


def _memory(available: int | None) -> CheckResult:
    if available is None:
        return CheckResult(
            "memory",
            "warning",
            "this system does not say how much memory is available",
            f"See that {LEAST_MEMORY:,} bytes are.",
        )
    told = f"{available:,} bytes are available"
    if available < LEAST_MEMORY:
        return CheckResult(
            "memory",
            "failed",
            f"{told}; {LEAST_MEMORY:,} are needed",
            "End other programs, or raise the memory limit.",
        )
    if available < GOOD_MEMORY:
        return CheckResult(
            "memory",
            "warning",
            f"{told}: enough for a small site",
            f"{GOOD_MEMORY:,} leave room for caches and a second hub.",
        )
    return CheckResult("memory", "ok", told)


def _data_dir(path: str, unusable: str) -> CheckResult:
    if unusable:
        step = "Choose another one with --data-dir or EYRIE_DATA_DIR."
        return CheckResult(
            "data directory",
            "failed",
            f"the data directory {path} cannot be used: {unusable}",
            step,
        )
    return CheckResult("data directory", "ok", f"{path} can be written to")


def _disk(disk: Disk) -> CheckResult:
    names = " and ".join(disk.folders)
    room = "Make room, or choose another disk with --data-dir (data) and TMPDIR (temporary files)."
    if disk.free < disk.needed:
        return CheckResult(
            "disk",
            "failed",
            f"{disk.needed:,} bytes are needed in {names}, and {disk.free:,} are free there",
            room,
        )
    if disk.inodes is not None and disk.inodes < LEAST_INODES:
        return CheckResult(
            "disk",
            "failed",
            f"{LEAST_INODES:,} inodes are needed in {names}, and {disk.inodes:,} are free there",
            room,
        )
    return CheckResult(
        "disk", "ok", f"{disk.free:,} bytes are free in {names}, {disk.needed:,} are needed"
    )


def _ports(ports: Sequence[Port]) -> Iterator[CheckResult]:
    asked: dict[tuple[str, int], str] = {}
    for port in ports:
        where = f"{port.host}:{port.port}"
        twin = asked.setdefault((port.host, port.port), port.setting)
        if twin != port.setting:
            yield CheckResult(
                "port",
                "failed",
                f"{where} is asked for by {twin} and by {port.setting}",
                "Give them different ports.",
            )
        elif port.ours:
            yield CheckResult(
                "port",
                "ok",
                f"{where} ({port.setting}) is held by the Eyrie that runs on this data directory",
            )
        elif port.problem:
            holder = f" by {port.holder}" if port.holder else ""
            option = (
                "--port or EYRIE_HUB_PORT"
                if port.setting == "hub.port"
                else f"EYRIE_{port.setting.replace('.', '_').upper()}"
            )
            yield CheckResult(
                "port",
                "failed" if port.needed else "warning",
                f"{where} cannot be listened on ({port.setting}): {port.problem}{holder}",
                f"End {port.holder or 'the program that has it'}, or choose another port with "
                f"{option}.",
            )
        else:
            yield CheckResult("port", "ok", f"{where} ({port.setting}) is free")


def _clock(now: float, newest: float | None) -> CheckResult:
    if not EARLIEST <= now <= LATEST:
        return CheckResult(
            "clock",
            "failed",
            f"the clock says {_day(now)}: no token or certificate holds then",
            "Set the clock (NTP).",
        )
    if newest is not None and newest - now > BACKWARDS_S:
        told = f"the data directory was written to {newest - now:,.0f} s ahead of this clock"
        return CheckResult(
            "clock",
            "warning",
            told,
            "Set the clock (NTP): it was put back, or it was ahead when that was written.",
        )
    return CheckResult("clock", "ok", f"the clock says {_day(now)}")


def _day(seconds: float) -> str:
    """As people read it, in UTC. A clock can be set to what no date is."""
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.0f} s since 1970"
