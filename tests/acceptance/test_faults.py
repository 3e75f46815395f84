"""Issue 3, *Must show*: faults on the real stack under load, each proven to have happened; then
everything is read back and checked.

The load is seeded and its truth known. Afterwards the checker (`load_tests.checker.checker`) finds
no lost ack, no duplicate and no stale write in what a fresh connection reads, and `eyrie audit
verify` is green.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.core.errors import EyrieError
from actors.core.settings import PostgresSettings
from load_tests.checker.stored import read_back
from load_tests.drivers.fault_proxy import Cut, Where, fault_proxy
from storage.embedded.data_dir import start_time
from storage.postgres.pool import Database
from storage.process.settings_files import read_resolved
from storage.stores import Stores, open_stores
from tests.support.cluster.product import Product
from tests.support.load.fault_load import Load, watching
from tests.support.load.fault_runs import actor_of, address, checked, load, same
from tests.support.waiting import until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]

SITE = "faults"
COMMIT_WAITS = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND "
    "wait_event_type = 'Lock' AND query ~ 'snapshot'"
)
SEED = 7


@pytest.fixture
def running(bare_stack: Product) -> Product:
    """The product under load."""
    return bare_stack


@pytest.fixture
async def stores(running: Product) -> AsyncIterator[Stores]:
    opened = await open_stores(read_resolved(running.data.settings_file), name="test")
    yield opened
    await opened.close()


def noted(running: Product, name: str) -> int:
    """The pid of a server of the run folder."""
    return next(record.pid for record in running.data.noted() if record.name == name)


async def test_a_killed_actor_loses_nothing(running: Product, stores: Stores) -> None:
    async with load(running, stores, "killed") as made:
        before, generation = await actor_of(stores, "killed-0")
        started = start_time(before.pid)
        os.kill(before.pid, signal.SIGKILL)
        await until(lambda: not same(before.pid, started), what="the end of the killed process")
        await made.more(60)
        after, later = await actor_of(stores, "killed-0")
        assert (after.name != before.name, after.pid != before.pid, later > generation) == (
            True,
            True,
            True,
        )
        stored = await checked(running, made)
    assert {move.generation for move in stored.moves if move.camera == "killed-0"} >= {
        generation,
        later,
    }


async def test_a_frozen_actor_that_thaws_stores_nothing_and_ends(
    running: Product, stores: Stores
) -> None:
    async with load(running, stores, "frozen") as made:
        before, generation = await actor_of(stores, "frozen-0")
        started = start_time(before.pid)
        os.kill(before.pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(60):
                while (await stores.cameras.ownership(["frozen-0"]))[
                    "frozen-0"
                ].generation == generation:
                    await asyncio.sleep(0.1)
            acked = made.cameras["frozen-0"].acked
            await until(
                lambda: made.cameras["frozen-0"].acked > acked,
                within_s=60,
                what="an ack of its successor",
            )
            assert same(before.pid, started), "the frozen process was to live until it thaws"
        finally:
            os.kill(before.pid, signal.SIGCONT)
        await until(
            lambda: not same(before.pid, started), within_s=30, what="the end of the thawed actor"
        )
        stored = await checked(running, made)
    replaced = min(
        move.at_s
        for move in stored.moves
        if move.camera == "frozen-0" and move.generation > generation
    )
    assert not [
        move for move in stored.moves if move.writer == before.name and move.at_s > replaced
    ]


async def test_postgresql_killed_in_the_middle_of_a_commit_loses_nothing(
    running: Product, stores: Stores
) -> None:
    settings = read_resolved(running.data.settings_file).postgres
    async with load(running, stores, "database") as made:
        owner = (await actor_of(stores, "database-0"))[0].name
        postmaster = noted(running, "postgres")
        started = start_time(postmaster)
        acked = made.cameras["database-0"].acked
        backends = await kill_in_a_commit(settings, "database-0", owner, postmaster)
        assert backends >= 2
        await until(lambda: not same(postmaster, started), what="the end of PostgreSQL")
        await until(
            lambda: "PostgreSQL ended" in running.log(), within_s=30, what="the launcher's word"
        )
        await made.more(60, within_s=120)
        assert noted(running, "postgres") != postmaster
        assert made.cameras["database-0"].acked > acked
        await checked(running, made)


async def kill_in_a_commit(
    settings: PostgresSettings, camera: str, owner: str, postmaster: int
) -> int:
    """Hold the row of `camera`, wait until its actor's commit waits for it, then kill -9 the
    postmaster and every backend; how many."""
    database = await Database.open(settings, name="hold", size=2)
    try:
        pids = await _kill_holding(database, camera, owner[:63], postmaster)
    finally:
        await database.close()
    return len(pids)


async def _kill_holding(database: Database, camera: str, owner: str, postmaster: int) -> list[int]:
    pids: list[int] = []
    try:
        async with database.transaction(writing=True) as connection:
            await connection.execute("SELECT FROM positions WHERE camera = $1 FOR UPDATE", camera)
            async with asyncio.timeout(30):
                while not await database.fetch_value(COMMIT_WAITS, owner):
                    await asyncio.sleep(0.01)
            pids = [
                postmaster,
                *(int(row[0]) for row in await database.fetch("SELECT pid FROM pg_stat_activity")),
            ]
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await connection.execute("SELECT 1")
    except EyrieError:
        return pids
    raise AssertionError("the killed PostgreSQL still answers")


async def test_a_killed_redis_stops_no_commit_and_hides_no_event(
    running: Product, stores: Stores
) -> None:
    async with load(running, stores, "redis") as made:
        host, port = address(running)
        async with watching(
            f"ws://{host}:{port}/connection/websocket", running.token, made.cameras, made.history
        ):
            await made.more(60)
            pid = noted(running, "redis")
            started = start_time(pid)
            os.kill(pid, signal.SIGKILL)
            await until(lambda: not same(pid, started), what="the end of Redis")
            await made.more(60)
            await until(
                lambda: "Redis ended" in running.log(), within_s=30, what="the launcher's word"
            )
            await made.more(60)
            await made.finish()
            tops = {
                row.camera: row.last_offset
                for row in (
                    await read_back(
                        read_resolved(running.data.settings_file).postgres, list(made.cameras)
                    )
                ).cameras
            }
            await until(
                lambda: all(seen(made, camera) >= top for camera, top in tops.items()),
                within_s=30,
                what="every event shown",
            )
        assert noted(running, "redis") != pid
        await checked(running, made)


def seen(made: Load, camera: str) -> int:
    """The highest offset that the dashboard has of a camera."""
    offsets = [
        getattr(op, "offset", getattr(op, "last", 0))
        for op in made.history
        if op.camera == camera and hasattr(op, "watcher")
    ]
    return max(offsets, default=0)


def is_observe(payload: bytes) -> bool:
    return b"\xa7observe" in payload[:20]


def is_ack(payload: bytes) -> bool:
    return b"\xa3ack" in payload[:20]


@pytest.mark.parametrize("how", ["rst", pytest.param("fin", marks=pytest.mark.prove)])
async def test_a_link_cut_at_every_class_of_byte_position_loses_nothing(
    running: Product, stores: Stores, tmp_path: Path, how: str
) -> None:
    places: list[Where] = ["before", "header", "payload", "sent", "acked"]
    async with (
        fault_proxy(address(running)) as proxy,
        load(
            running, stores, f"cut-{how}", cameras=1, port=proxy.port, spool=tmp_path / "spool"
        ) as made,
    ):
        for place in places:
            connections = proxy.connections
            proxy.plan.append(Cut(place, is_observe, is_ack, number=5, how=how))  # type: ignore[arg-type]
            await until(lambda: not proxy.plan, within_s=30, what=f"the cut {place}")
            await until(
                lambda wanted=connections: proxy.connections > wanted,  # type: ignore[misc]
                within_s=30,
                what="a new connection",
            )
            await made.more(40)
        assert proxy.cuts == places
        proxy.limit = (5_000, "rst")
        await until(lambda: proxy.limit is None, within_s=30, what="the cut at a byte")
        await made.more(40)
        connections, acked = proxy.connections, made.acked
        proxy.lost.add(
            "hub"
            # half open: what the hub says is lost, the socket stands until the edge takes the
            # silence for its end
        )
        await until(
            lambda: proxy.connections > connections,
            within_s=30,
            what="a new connection after silence",
        )
        assert made.acked <= acked + 10, "acks came through a direction that was to be lost"
        proxy.lost.clear()
        await made.more(40, within_s=90)
        assert made.client.account.resent > 0
        await checked(running, made)
    assert made.client.connections >= len(places) + 2
