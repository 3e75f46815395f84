"""What machine a figure was measured on: part of every result."""

import importlib.metadata
import os
import platform
from pathlib import Path

import msgspec


class MachineInfo(msgspec.Struct, frozen=True):
    """Cores, memory in GiB, processor, system and Python of this machine."""

    cores: int
    memory_gib: float
    processor: str
    system: str
    python: str


def this_machine() -> MachineInfo:
    """The machine as the kernel describes it; unknown parts are empty."""
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return MachineInfo(
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(pages * page / 2**30, 1),
        processor=_processor(),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
    )


def described(machine: MachineInfo) -> str:
    """In one line."""
    return (
        f"{machine.cores} cores, {machine.memory_gib:g} GiB, {machine.processor}, "
        f"{machine.system}, Python {machine.python}"
    )


def versions() -> dict[str, str]:
    """Of the libraries that the figures of a run depend on."""
    return {
        name: importlib.metadata.version(name)
        for name in ("ray", "msgspec", "asyncpg", "redis", "starlette", "uvicorn", "uvloop")
    }


def busy_and_all_s() -> tuple[float, float]:
    """Processor seconds of the whole machine since it started: used by anything, and all there were
    (proc(5), stat)."""
    user, nice, system, idle, waiting, irq, softirq, steal = (
        int(word)
        for word in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    )
    ticks = os.sysconf("SC_CLK_TCK")
    busy = user + nice + system + irq + softirq + steal
    return busy / ticks, (busy + idle + waiting) / ticks


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
