"""What a long run watches for growth, read from the running stack: /proc, PostgreSQL and Redis."""

import asyncio
import contextlib
import os
from pathlib import Path

from actors.core.settings import Settings
from load_tests.harness.stack import Stack
from load_tests.runs.growth import EVENTS, Sample
from storage.postgres.pool import Database
from storage.redis.connection import RedisLink

OF_THE_RUN = "witnessed"  # the table that the run itself fills
_TABLES = """
    SELECT coalesce(parent.relname, own.relname) AS name, sum(pg_total_relation_size(own.oid))::bigint AS bytes
    FROM pg_class own
    JOIN pg_namespace space ON space.oid = own.relnamespace AND space.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    LEFT JOIN pg_inherits link ON link.inhrelid = own.oid
    LEFT JOIN pg_class parent ON parent.oid = link.inhparent
    WHERE own.relkind = 'r' GROUP BY 1
"""  # noqa: E501
_EVENTS = "SELECT coalesce(sum(last_offset), 0)::bigint FROM positions"
_WAL = "SELECT coalesce(sum(size), 0)::bigint FROM pg_ls_waldir()"


def sample(running: Stack, at_s: float) -> Sample:
    """Everything now. A process that ends meanwhile is left out. Raises Unavailable when a store
    does not answer."""
    values = _processes(running)
    values.update(asyncio.run(_stores(running.settings)))
    return Sample(round(at_s, 2), values)


def _processes(running: Stack) -> dict[str, float]:
    found: dict[str, float] = {}
    for pid, kind in running.kinds().items():
        with contextlib.suppress(OSError):
            status = (
                Path(f"/proc/{pid}/status")
                .read_text(encoding="ascii", errors="replace")
                .splitlines()
            )
            anonymous = next(
                (int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon:")), 0
            )
            found[f"memory {kind} {pid}"] = float(anonymous)
            found[f"files {kind} {pid}"] = float(len(os.listdir(f"/proc/{pid}/fd")))
            found[f"threads {kind} {pid}"] = float(len(os.listdir(f"/proc/{pid}/task")))
    found["processes"] = float(sum(name.startswith("memory ") for name in found))
    return found


async def _stores(settings: Settings) -> dict[str, float]:
    database = await Database.open(settings.postgres, name="growth", size=1)
    try:
        found = {
            f"table {row['name']}": float(row["bytes"])
            for row in await database.fetch(_TABLES)
            if row["name"] != OF_THE_RUN
        }
        found[EVENTS] = float(await database.fetch_value(_EVENTS))
        found["wal"] = float(await database.fetch_value(_WAL))
    finally:
        await database.close()
    link = RedisLink(settings.redis, "growth")
    try:
        keys, memory = await link.call([("DBSIZE",), ("INFO", "memory")], writing=False)
    finally:
        await link.close()
    fields = dict(line.partition(":")[::2] for line in bytes(memory).decode().splitlines())
    return {**found, "redis keys": float(keys), "redis bytes": float(fields["used_memory"])}
