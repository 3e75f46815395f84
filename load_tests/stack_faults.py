"""Faults of a running stack on one machine: each is done, read back as proof that it happened, and undone where it does not end by itself.

Only the product's own processes are touched, by pid. Nothing is healed: what is undone is the cause, not the harm.
"""

import asyncio
import contextlib
import os
import resource
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from actors.core.errors import StartError
from load_tests.stack import Stack
from storage.data_dir import start_time
from storage.postgres_pool import Database
from storage.redis_link import RedisLink

GONE_S = 5.0
# Words in a process's command line, by the name that a fault has for it; the first that is found is taken.
PROCESSES: Mapping[str, str] = {
    "hub": "ray::RayHub", "actor": "ray::RayCamera", "supervisor": "ray::RaySupervisor", "policy": "ray::RayPolicy",
    "driver": "-m cluster.driver", "raylet": "/raylet/raylet ", "gcs": "/gcs/gcs_server ", "postgres": "/bin/postgres ",
    "redis": "-server unixsocket:",
}  # fmt: skip
Undo = Callable[[], str]  # what was read back afterwards


class Struck:
    """A fault that is on. `proof`: what was read back; `lasts`: it has a cause that must be taken away;
    `ended`: (process, pid) that somebody must start again."""

    def __init__(self, name: str, proof: str, undo: Undo | None = None, ended: tuple[str, int] | None = None) -> None:
        self.name, self.proof, self._undo, self.ended = name, proof, undo, ended
        self.lasts = undo is not None
        self.at_s = time.time()

    def over(self) -> None:
        """Take the cause away, and read that back too. Raises StartError when it is still there."""
        if self._undo is not None:
            self.proof = f"{self.proof}; {self._undo()}"


def strike(running: Stack, name: str) -> Struck:
    """Do it: ``kill-<process>``, ``freeze-<process>``, ``descriptors-<process>``, or one of `STORES`. Raises StartError when it cannot be
    done, or did not happen."""
    began = time.time()
    kind, _, which = name.partition("-")
    if name in STORES:
        struck = STORES[name](running)
    elif which in PROCESSES and kind in _OF_PROCESSES:
        struck = _OF_PROCESSES[kind](running, which)
    else:
        raise StartError(f"there is no fault {name}; there are {', '.join(names())}")
    struck.at_s = began
    return struck


def names() -> list[str]:
    """All faults."""
    return [*STORES, *(f"{kind}-{which}" for kind in _OF_PROCESSES for which in PROCESSES)]


def find(running: Stack, which: str) -> int:
    """The pid of the (first) process of that name. Raises StartError where there is none."""
    found = find_all(running, which)
    if not found:
        raise StartError(f"there is no process of {which}")
    return found[0]


def find_all(running: Stack, which: str) -> list[int]:
    """The pids of all of them."""
    found = []
    for pid in running.processes():
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
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


def _descriptors(running: Stack, which: str) -> Struck:
    pid = find(running, which)
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    wanted = len(os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (wanted, before[1]))
    if (now := resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]) != wanted:
        raise StartError(f"{which} may still open {now} files")
    born = start_time(pid)

    def undo() -> str:
        if start_time(pid) != born:
            return f"pid {pid} was replaced"
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        return f"pid {pid} may open {before[0]} again"

    return Struck(f"descriptors-{which}", f"pid {pid} may open {wanted} files and has as many", undo)


def _read_only(running: Stack) -> Struck:
    def change(value: str) -> str:
        async def do() -> str:
            database = await Database.open(running.settings.postgres, name="faults", size=1)
            try:
                async with database.connection() as connection:
                    await connection.execute("SET default_transaction_read_only = off")
                    await connection.execute(f"ALTER SYSTEM {value}")
                    await connection.execute("SELECT pg_reload_conf()")
            finally:
                await database.close()
            fresh = await Database.open(running.settings.postgres, name="faults", size=1)
            try:
                return str(await fresh.fetch_value("SELECT setting FROM pg_settings WHERE name = 'default_transaction_read_only'"))
            finally:
                await fresh.close()

        return f"default_transaction_read_only is {asyncio.run(do())}"

    proof = change("SET default_transaction_read_only = on")
    return Struck("postgres-read-only", proof, lambda: change("RESET default_transaction_read_only"))


def _connections_cut(running: Stack) -> Struck:
    async def do() -> int:
        database = await Database.open(running.settings.postgres, name="faults", size=1)
        try:
            rows = await database.fetch(
                "SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            return sum(bool(row["ended"]) for row in rows)
        finally:
            await database.close()

    ended = asyncio.run(do())
    if not ended:
        raise StartError("no connection to PostgreSQL was ended")
    return Struck("postgres-connections-cut", f"{ended} backends were ended")


def _redis(running: Stack, *commands: tuple[Any, ...]) -> list[Any]:
    async def do() -> list[Any]:
        link = RedisLink(running.settings.redis, "faults")
        try:
            return await link.call(commands, writing=False)
        finally:
            await link.close()

    found = asyncio.run(do())
    for one in found:
        if isinstance(one, Exception):
            raise StartError(f"Redis refuses: {one}")
    return found


def _limit(running: Stack, wanted: bytes) -> str:
    _, (_, now) = _redis(running, ("CONFIG", "SET", "maxmemory", wanted), ("CONFIG", "GET", "maxmemory"))
    if bytes(now) != wanted:
        raise StartError(f"maxmemory is {now!r}")
    return f"maxmemory is {wanted.decode()}"


def _redis_full(running: Stack) -> Struck:
    ((_, before),) = _redis(running, ("CONFIG", "GET", "maxmemory"))
    return Struck("redis-full", _limit(running, b"1000000"), lambda: _limit(running, bytes(before)))


def _redis_emptied(running: Stack) -> Struck:
    before, _, after = _redis(running, ("DBSIZE",), ("FLUSHALL",), ("DBSIZE",))
    return Struck("redis-emptied", f"{before} keys, then {after}")


def _redis_links_cut(running: Stack) -> Struck:
    ended, pubsub = _redis(running, ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"), ("CLIENT", "KILL", "TYPE", "pubsub"))
    if not ended + pubsub:
        raise StartError("no connection to Redis was ended")
    return Struck("redis-connections-cut", f"{ended + pubsub} connections were ended")


def _status(pid: int, field: str) -> str:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.split()[1] for line in lines if line.startswith(f"{field}:")), "")


def _wait_state(pid: int, state: str, which: str) -> None:
    deadline = time.monotonic() + GONE_S
    while _status(pid, "State") != state:
        if time.monotonic() > deadline:
            raise StartError(f"{which} {pid} is in state {_status(pid, 'State')!r}, not {state}")
        time.sleep(0.01)


_OF_PROCESSES: Mapping[str, Callable[[Stack, str], Struck]] = {"kill": _kill, "freeze": _freeze, "descriptors": _descriptors}
STORES: Mapping[str, Callable[[Stack], Struck]] = {
    "postgres-read-only": _read_only, "postgres-connections-cut": _connections_cut, "redis-full": _redis_full,
    "redis-emptied": _redis_emptied, "redis-connections-cut": _redis_links_cut,
}  # fmt: skip
