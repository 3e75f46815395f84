"""Faults of the stores of a running stack, of its disk and of its clock: each is done, read back,
and undone. Nothing is healed."""

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Mapping
from typing import Any

from actors.core.errors import StartError
from load_tests.faults.stepped_clocks import STEP_S
from load_tests.faults.struck import Struck
from load_tests.harness.stack import Stack
from storage.postgres.pool import Database
from storage.redis.connection import RedisLink

BALLAST = "ballast"  # the file that fills the disk
CHUNK = 2**20  # bytes; the disk is full up to less than a page


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
                return str(
                    await fresh.fetch_value(
                        "SELECT setting FROM pg_settings WHERE name = "
                        "'default_transaction_read_only'"
                    )
                )
            finally:
                await fresh.close()

        return f"default_transaction_read_only is {asyncio.run(do())}"

    proof = change("SET default_transaction_read_only = on")
    return Struck(
        "postgres-read-only", proof, lambda: change("RESET default_transaction_read_only")
    )


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
    _, (_, now) = _redis(
        running, ("CONFIG", "SET", "maxmemory", wanted), ("CONFIG", "GET", "maxmemory")
    )
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
    ended, pubsub = _redis(
        running,
        ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"),
        ("CLIENT", "KILL", "TYPE", "pubsub"),
    )
    if not ended + pubsub:
        raise StartError("no connection to Redis was ended")
    return Struck("redis-connections-cut", f"{ended + pubsub} connections were ended")


def _redis_read_only(running: Stack) -> Struck:
    def change(replicas: bytes) -> str:
        _, (_, now) = _redis(
            running,
            ("CONFIG", "SET", "min-replicas-to-write", replicas),
            ("CONFIG", "GET", "min-replicas-to-write"),
        )
        if bytes(now) != replicas:
            raise StartError(f"min-replicas-to-write is {now!r}")
        return (
            f"min-replicas-to-write is {replicas.decode()} and there is none"
            if replicas != b"0"
            else "writes are taken again"
        )

    return Struck("redis-read-only", change(b"1"), lambda: change(b"0"))


def _disk_full(running: Stack) -> Struck:
    """Of the data directory: database, WAL, logs. It must be a file system of its own
    (`load_tests.harness.stack.stack` makes one where it may)."""
    folder = running.data.path
    if not os.path.ismount(folder):
        raise StartError(
            "the data directory has no file system of its own: only root can mount one"
        )
    ballast = folder / BALLAST
    size = CHUNK
    with ballast.open("wb") as file:
        while size:
            try:
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), size)
            except OSError:
                size //= 2
                size -= size % 4096
    if (free := shutil.disk_usage(folder).free) >= 2 * 4096:
        raise StartError(f"{free} bytes are free still")

    def undo() -> str:
        ballast.unlink()
        return f"{shutil.disk_usage(folder).free} bytes are free again"

    return Struck("disk-full", f"{free} bytes are free", undo)


def _clock(running: Stack, step_s: float) -> Struck:
    clock = running.clock
    if clock is None:
        raise StartError("the stack was started without a clock of its own")
    carrying = [pid for pid in running.processes() if clock.carried_by(pid)]

    def change(shift_s: float) -> str:
        clock.shift(shift_s)

        async def ask() -> float:
            database = await Database.open(running.settings.postgres, name="faults", size=1)
            try:
                return float(
                    await database.fetch_value(
                        "SELECT extract(epoch FROM clock_timestamp())::float8"
                    )
                )
            finally:
                await database.close()

        ahead_s = asyncio.run(ask()) - time.time()
        ((seconds, _),) = _redis(running, ("TIME",))
        of_redis_s = int(seconds) - time.time()
        if max(abs(ahead_s - shift_s), abs(of_redis_s - shift_s)) > 10:
            raise StartError(
                f"PostgreSQL's clock is {ahead_s:.0f} s ahead, that of Redis {of_redis_s:.0f} s"
            )
        return (
            f"the clocks of PostgreSQL and Redis are {ahead_s:+.0f} s and {of_redis_s:+.0f} s off"
        )

    proof = f"{change(step_s)}, {len(carrying)} of {len(running.processes())} processes go by it"
    return Struck("clock-forward" if step_s > 0 else "clock-back", proof, lambda: change(0.0))


STORES: Mapping[str, Callable[[Stack], Struck]] = {
    "postgres-read-only": _read_only,
    "postgres-connections-cut": _connections_cut,
    "redis-full": _redis_full,
    "redis-emptied": _redis_emptied,
    "redis-connections-cut": _redis_links_cut,
    "redis-read-only": _redis_read_only,
    "disk-full": _disk_full,
    "clock-forward": lambda running: _clock(running, STEP_S),
    "clock-back": lambda running: _clock(running, -STEP_S),
}
