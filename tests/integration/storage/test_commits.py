"""The fenced commit under concurrency and faults, against PostgreSQL."""

import asyncio
import os
import random
import re
import signal

import msgspec
import pytest

from actors.core.errors import BadInput, Unavailable, UnknownOutcome
from actors.core.settings import PostgresSettings
from storage.postgres.cameras import PostgresCameraStore, statements
from storage.postgres.pool import Database
from storage.stores import Stores
from tests.support.servers.store_fixtures import Servers
from tests.support.store_rows import OWNER, event_of, row_of, running


async def test_concurrent_commits_of_the_same_cameras_do_not_deadlock(
    stores: Stores, servers: Servers
) -> None:
    names = [f"cam-{n:02d}" for n in range(40)]
    at = await running(stores.registry, stores.cameras, names)
    databases = [
        await Database.open(servers.settings.postgres, name=f"writer-{n}") for n in range(4)
    ]
    moved: list[str] = []

    async def writer(number: int) -> None:
        order = random.Random(number)
        for seqs in range(1, 16):
            held = await stores.cameras.ownership(names)
            rows = [
                row_of(
                    n, at[n][0], held[n].position, seqs=seqs, events=[event_of(n, held[n].position)]
                )
                for n in names
            ]
            order.shuffle(rows)
            moved.extend(await PostgresCameraStore(databases[number]).commit(rows))

    await asyncio.gather(*(writer(number) for number in range(len(databases))))
    for database in databases:
        await database.close()
    after = await stores.cameras.ownership(names)
    for name in names:
        offsets = [e.offset for e in await stores.events.after(name, at[name][1].epoch, 0, 1000)]
        assert offsets == list(range(1, moved.count(name) + 1)), (
            "one event for every time it moved, no hole, none twice"
        )
        assert after[name].position.last_offset == len(offsets)


async def test_an_activation_waits_for_a_commit_and_then_fences_it(stores: Stores) -> None:
    generation, position = (await running(stores.registry, stores.cameras, ["cam-1"]))["cam-1"]
    async with stores.database.transaction() as blocking:
        await blocking.execute("UPDATE positions SET snapshot = 'held' WHERE camera = 'cam-1'")
        activating = asyncio.create_task(stores.cameras.activate(OWNER, ["cam-1"]))
        await _waits_for_lock(stores.database)
        committing = asyncio.create_task(
            stores.cameras.commit([row_of("cam-1", generation, position)])
        )
    assert [a.generation for a in await activating] == [generation + 1]
    moved = await committing
    held = (await stores.cameras.ownership(["cam-1"]))["cam-1"]
    assert held.generation == generation + 1
    assert (held.position.last_seq == 1) == (moved == {"cam-1"}), (
        "it went first whole or not at all"
    )
    assert await stores.cameras.commit([row_of("cam-1", generation, held.position)]) == set()


async def _waits_for_lock(database: Database) -> None:
    async with asyncio.timeout(30):
        while not await database.fetch_value(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        ):
            await asyncio.sleep(0.005)


async def test_a_lock_that_is_not_had_in_time_is_no_unknown_outcome(
    servers: Servers, stores: Stores
) -> None:
    generation, position = (await running(stores.registry, stores.cameras, ["cam-1"]))["cam-1"]
    settings = _with_timeout(servers, 0.4)
    database = await Database.open(settings, name="impatient")
    async with stores.database.transaction() as blocking:
        await blocking.execute("SELECT 1 FROM positions FOR UPDATE")
        with pytest.raises(Unavailable):
            await PostgresCameraStore(database).commit([row_of("cam-1", generation, position)])
    assert await PostgresCameraStore(database).commit([row_of("cam-1", generation, position)]) == {
        "cam-1"
    }
    await database.close()


async def test_a_frozen_server_makes_a_write_unknown_and_a_read_unavailable(
    servers: Servers, stores: Stores
) -> None:
    generation, position = (await running(stores.registry, stores.cameras, ["cam-1"]))["cam-1"]
    database = await Database.open(_with_timeout(servers, 0.4), name="frozen")
    cameras = PostgresCameraStore(database)
    pid = int(await database.fetch_value("SELECT pg_backend_pid()"))
    _signal(pid, signal.SIGSTOP)
    try:
        with pytest.raises(UnknownOutcome):
            await cameras.commit([row_of("cam-1", generation, position)])
    finally:
        _signal(pid, signal.SIGCONT)
    renewed = (await cameras.activate(OWNER, ["cam-1"]))[0]
    late = await stores.cameras.commit([row_of("cam-1", generation, position)])
    assert late == set(), "under the renewed generation no late message of the old one acts"
    assert renewed.position.last_seq in (0, 1)
    pid = int(await database.fetch_value("SELECT pg_backend_pid()"))
    _signal(pid, signal.SIGSTOP)
    try:
        with pytest.raises(Unavailable) as caught:
            await cameras.ownership(["cam-1"])
    finally:
        _signal(pid, signal.SIGCONT)
    assert not isinstance(caught.value, UnknownOutcome)
    await database.close()


async def test_a_cut_connection_is_replaced(stores: Stores, servers: Servers) -> None:
    generation, position = (await running(stores.registry, stores.cameras, ["cam-1"]))["cam-1"]
    database = await Database.open(servers.settings.postgres, name="to-be-cut")
    cut = (
        "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE application_name = "
        "'to-be-cut'"
    )
    async with stores.database.transaction() as blocking:
        await blocking.execute("SELECT 1 FROM positions FOR UPDATE")
        committing = asyncio.create_task(
            PostgresCameraStore(database).commit([row_of("cam-1", generation, position)])
        )
        await _waits_for_lock(stores.database)
        assert await stores.database.fetch(cut)
        with pytest.raises(UnknownOutcome):
            await committing
    assert await PostgresCameraStore(database).commit([row_of("cam-1", generation, position)]) == {
        "cam-1"
    }
    await database.close()


async def test_numbers_beyond_64_bits_are_bad_input(stores: Stores) -> None:
    with pytest.raises(BadInput):
        await stores.dead_letters.list(after=2**63)


def _with_timeout(servers: Servers, seconds: float) -> PostgresSettings:
    return msgspec.structs.replace(servers.settings.postgres, command_timeout_s=seconds)


def _signal(pid: int, number: signal.Signals) -> None:
    os.kill(pid, number)


@pytest.mark.parametrize(
    "statement",
    [
        "commit_positions",
        "commit_whole",
        "commit_personal",
        "commit_whole_alerts",
        "commit_personal_alerts",
    ],
)
@pytest.mark.parametrize("cameras", [1, 400])
async def test_every_plan_of_a_commit_locks_in_the_order_of_cameras(
    stores: Stores, statement: str, cameras: int
) -> None:
    """With a hash of the given rows, or a scan of the heap, two commits of the same cameras could
    wait for each other."""
    for number in range(cameras):
        await stores.registry.register(f"cam-{number:03d}", "site")
    text = statements()[statement]
    given = ", ".join(["NULL"] * max(int(number) for number in re.findall(r"\$(\d+)", text)))
    async with stores.database.connection() as connection:
        for analyzed in (False, True):
            if analyzed:
                await connection.execute("ANALYZE positions")
            await connection.execute(f"PREPARE commit_plan AS {text}")
            plan = "\n".join(
                row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE commit_plan ({given})")
            )
            await connection.execute("DEALLOCATE commit_plan")
            read = [
                line.strip()
                for line in plan.splitlines()
                if "on positions p" in line and "Update" not in line
            ]
            assert read, plan
            assert all("Index Scan using positions_pkey" in line for line in read), plan
            assert "Hash" not in plan, plan
