"""pgqueuer on the PostgreSQL of `load_tests.benches.jobs`: what a Python team would take instead.

It comes with `make peers` alone."""

import asyncio
import time
from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec
from typing import Any

KIND = "bench"


def installed() -> bool:
    """Whether it can be compared with."""
    return find_spec("pgqueuer") is not None


async def drain(dsn: str, jobs: int, batch: int) -> float:
    """Jobs per second from the start of its manager to the last job's end, with `batch` of them in
    each claim; tables are made the first time."""
    asyncpg: Any = import_module("asyncpg")
    pgqueuer: Any = import_module("pgqueuer")
    drivers: Any = import_module("pgqueuer.db")
    queries: Any = import_module("pgqueuer.queries")
    connection = await asyncpg.connect(dsn)
    try:
        driver = drivers.AsyncpgDriver(connection)
        asked = queries.Queries(driver)
        if not await connection.fetchval("SELECT to_regclass('pgqueuer')"):
            await asked.install()
        await asked.enqueue([KIND] * jobs, [None] * jobs, [0] * jobs)
        manager = pgqueuer.PgQueuer(driver)
        left = jobs

        async def work(_job: Any) -> None:
            nonlocal left
            left -= 1
            if not left:
                manager.shutdown.set()

        manager.entrypoint(KIND)(work)
        began = time.perf_counter()
        await manager.run(dequeue_timeout=timedelta(seconds=1), batch_size=batch)
        took = time.perf_counter() - began
        await asyncio.sleep(0)
    finally:
        await connection.close()
    return jobs / took
