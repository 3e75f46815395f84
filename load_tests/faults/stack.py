"""Faults of a running stack on one machine: each is done, read back as proof that it happened, and
undone where it does not end by itself.

Only the product's own processes are touched, by pid. Nothing is healed: what is undone is the
cause, not the harm.
"""

import contextlib
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from actors.core.errors import StartError
from load_tests.faults.stores import STORES
from load_tests.faults.struck import Struck
from load_tests.harness.stack import Stack
from storage.embedded.data_dir import start_time

GONE_S = 5.0
COMES_WITHIN_S = 5.0
SLOW_STOPPED_S, SLOW_RUNNING_S = (
    0.24,
    0.06,
)  # of a slow process, in turns: a fifth of its speed, and a quarter of a second for an answer
MORE_MEMORY = 2**20  # bytes that a process short of memory may still map
# Words in a process's command line, by the name that a fault has for it; the first that is found is
# taken.
PROCESSES: Mapping[str, str] = {
    "hub": "ray::RayHub",
    "actor": "ray::RayCamera",
    "supervisor": "ray::RaySupervisor",
    "policy": "ray::RayPolicy",
    "driver": "-m cluster.launcher.driver",
    "raylet": "/raylet/raylet ",
    "gcs": "/gcs/gcs_server ",
    "postgres": "/bin/postgres ",
    "redis": "-server unixsocket:",
}


def strike(running: Stack, name: str) -> Struck:
    """Do it: ``<kind>-<process>`` (killed; stopped; stopped four fifths of the time; gone, and
    nobody starts it again; short of descriptors; short of memory) or one of `STORES`. Raises
    StartError when it cannot be done, or did not happen."""
    began = time.time()
    kind, _, which = name.partition("-")
    if name in STORES:
        struck = STORES[name](running)
    elif which in PROCESSES and kind in _OF_PROCESSES:
        struck = _OF_PROCESSES[kind](running, which)
    else:
        raise StartError(f"there is no fault {name}; there are {', '.join(names())}")
    if name != "disk-full":  # a disk is filled before it is full
        struck.at_s = began
    return struck


def names() -> list[str]:
    """All faults."""
    return [*STORES, *(f"{kind}-{which}" for kind in _OF_PROCESSES for which in PROCESSES)]


def find(running: Stack, which: str) -> int:
    """The pid of the (first) process of that name. Raises StartError where there is none, and none
    comes within `COMES_WITHIN_S`: the other fault of a pair may just have killed it."""
    until = time.monotonic() + COMES_WITHIN_S
    while not (found := find_all(running, which)):
        if time.monotonic() > until:
            raise StartError(f"there is no process of {which}")
        time.sleep(0.1)
    return found[0]


def find_all(running: Stack, which: str) -> list[int]:
    """The pids of all of them."""
    found = []
    for pid in running.processes():
        with contextlib.suppress(OSError):
            line = (
                Path(f"/proc/{pid}/cmdline")
                .read_bytes()
                .replace(b"\0", b" ")
                .decode(errors="replace")
            )
            if PROCESSES[which] in line:
                found.append(pid)
    return found


def _kill(running: Stack, which: str) -> Struck:
    pid = find(running, which)
    born = start_time(pid)
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + GONE_S
    while start_time(pid) == born and _status(pid, "State") not in ("Z", ""):
        if time.monotonic() > deadline:
            raise StartError(f"{which} {pid} lives after kill -9")
        time.sleep(0.01)
    return Struck(f"kill-{which}", f"pid {pid} is gone", ended=(which, pid))


def _freeze(running: Stack, which: str) -> Struck:
    pid = find(running, which)
    family = [pid, *(_backends(running, pid) if which == "postgres" else [])]
    born = {one: start_time(one) for one in family}
    for one in family:
        os.kill(one, signal.SIGSTOP)
    _wait_state(pid, "T", which)

    def thaw() -> str:
        gone = start_time(pid) != born[pid]
        for one in family:
            if start_time(one) == born[one]:
                os.kill(one, signal.SIGCONT)
        return f"pid {pid} was replaced while it was frozen" if gone else f"pid {pid} goes on"

    return Struck(f"freeze-{which}", f"pid {pid} is in state T", thaw)


def _backends(running: Stack, postmaster: int) -> list[int]:
    return [pid for pid in running.processes() if _status(pid, "PPid") == str(postmaster)]


def _slow(running: Stack, which: str) -> Struck:
    pid = find(running, which)
    born, over, turns = start_time(pid), threading.Event(), [0]

    def family() -> list[int]:
        children = (
            Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
            if which == "postgres"
            else []
        )
        return [pid, *map(int, children)]

    def slow_down() -> None:
        while not over.is_set() and start_time(pid) == born:
            with contextlib.suppress(OSError):
                stopped = family()
                for one in stopped:
                    os.kill(one, signal.SIGSTOP)
                over.wait(SLOW_STOPPED_S)
                for one in stopped:
                    with contextlib.suppress(OSError):
                        os.kill(one, signal.SIGCONT)
                turns[0] += 1
            over.wait(SLOW_RUNNING_S)

    thread = threading.Thread(target=slow_down, name=f"slow-{which}", daemon=True)
    thread.start()
    _wait_state(pid, "T", which)

    def undo() -> str:
        over.set()
        thread.join(GONE_S)
        return (
            f"it was stopped {turns[0]} times"
            if start_time(pid) == born
            else f"pid {pid} was replaced"
        )

    return Struck(
        f"slow-{which}",
        f"pid {pid} stands still {SLOW_STOPPED_S:g} s of every "
        f"{SLOW_STOPPED_S + SLOW_RUNNING_S:g} s",
        undo,
    )


def _away(running: Stack, which: str) -> Struck:
    """Killed, and the launcher, which would start it again, stands still."""
    launcher = running.process.pid
    os.kill(launcher, signal.SIGSTOP)
    try:
        _wait_state(launcher, "T", "launcher")
        gone = _kill(running, which)
    except BaseException:
        os.kill(launcher, signal.SIGCONT)
        raise

    def undo() -> str:
        left = len(find_all(running, which))
        os.kill(launcher, signal.SIGCONT)
        return f"{left} were there until the launcher went on"

    return Struck(f"away-{which}", f"{gone.proof}, nobody starts another", undo)


def _memory(running: Stack, which: str) -> Struck:
    pid = find(running, which)
    wanted = int(_status(pid, "VmSize")) * 1024 + MORE_MEMORY
    return _limited(
        "memory",
        which,
        pid,
        resource.RLIMIT_AS,
        wanted,
        f"map {MORE_MEMORY} bytes more than it has",
    )


def _descriptors(running: Stack, which: str) -> Struck:
    pid = find(running, which)
    wanted = len(os.listdir(f"/proc/{pid}/fd"))
    return _limited(
        "descriptors",
        which,
        pid,
        resource.RLIMIT_NOFILE,
        wanted,
        f"open {wanted} files and has as many",
    )


def _limited(fault: str, which: str, pid: int, limit: int, wanted: int, may: str) -> Struck:
    """Lower the soft `limit` of a process to `wanted`. `may`: what it still may, in words."""
    before, born = resource.prlimit(pid, limit), start_time(pid)
    resource.prlimit(pid, limit, (wanted, before[1]))
    if (now := resource.prlimit(pid, limit)[0]) != wanted:
        raise StartError(f"{which}: the limit of {fault} is {now} in place of {wanted}")

    def undo() -> str:
        if start_time(pid) != born:
            return f"pid {pid} was replaced"
        resource.prlimit(pid, limit, before)
        return f"pid {pid}: the limit of {fault} is {before[0]} again"

    return Struck(f"{fault}-{which}", f"pid {pid} may {may}", undo)


def _status(pid: int, field: str) -> str:
    try:
        lines = (
            Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
        )
    except OSError:
        return ""
    return next((line.split()[1] for line in lines if line.startswith(f"{field}:")), "")


def _wait_state(pid: int, state: str, which: str) -> None:
    deadline = time.monotonic() + GONE_S
    while _status(pid, "State") != state:
        if time.monotonic() > deadline:
            raise StartError(f"{which} {pid} is in state {_status(pid, 'State')!r}, not {state}")
        time.sleep(0.01)


_OF_PROCESSES: Mapping[str, Callable[[Stack, str], Struck]] = {
    "kill": _kill,
    "freeze": _freeze,
    "slow": _slow,
    "away": _away,
    "descriptors": _descriptors,
    "memory": _memory,
}
