"""The floor of `bench ingest`: the same observations decoded, stepped and committed by the same
statement, by one thread of one plain process. No Ray, no sockets to edges or dashboards, nothing
published."""

import asyncio
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection

import msgspec
import uvloop

from actors.core.camera import core as camera
from actors.core.camera.core import CameraCore
from actors.core.errors import Conflict, EyrieError
from actors.core.messages.commits import Activation
from actors.core.messages.deliveries import Attach, Data
from actors.core.settings import Settings
from storage.postgres.cameras import PostgresCameraStore
from storage.postgres.pool import Database
from storage.postgres.registry import PostgresRegistry

OWNER = "bench-floor"


class FloorPlan(msgspec.Struct, frozen=True):
    """One run: `rows` cameras in a commit, `observations` of each."""

    session: str
    cameras: int
    rows: int
    observations: int
    measure_s: float


class Floored(msgspec.Struct, frozen=True):
    """What one run did, with its own processor seconds (PostgreSQL's are not in it)."""

    observations: int
    events: int
    commits: int
    wall_s: float
    cpu_s: float


async def _run(settings: Settings, plan: FloorPlan, scene: bytes, pool: Sequence[bytes]) -> Floored:
    database = await Database.open(settings.postgres, name=OWNER)
    try:
        return await _measure(
            PostgresRegistry(database), PostgresCameraStore(database), settings, plan, scene, pool
        )
    finally:
        await database.close()


async def _measure(
    registry: PostgresRegistry,
    store: PostgresCameraStore,
    settings: Settings,
    plan: FloorPlan,
    scene: bytes,
    pool: Sequence[bytes],
) -> Floored:
    names = [f"floor-{number}" for number in range(plan.cameras)]
    for name in names:
        await registry.register(name, "bench", scene=scene)
        owner = (await store.owners())[name]
        if owner != OWNER and not await store.assign(name, OWNER, previous=owner):
            raise Conflict(f"camera {name} belongs to somebody else")
    cores = [
        await _opened(store, a, settings, plan.session) for a in await store.activate(OWNER, names)
    ]
    observations = events = commits = at = 0
    began, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - began < plan.measure_s:
        rows = []
        turn = [cores[(at + index) % len(cores)] for index in range(min(plan.rows, len(cores)))]
        at += len(turn)
        for core in turn:
            first = core.order.seq
            items = [pool[seq % len(pool)] for seq in range(first, first + plan.observations)]
            now_us = time.time_ns() // 1000
            camera.step(
                core,
                [Data(core.camera, "floor/1", plan.session, first + 1, now_us, "msgpack", items)],
                now_us,
            )
            row = camera.pending_commit(core)
            if row is not None:
                rows.append((core, row))
        moved = await store.commit([row for _core, row in rows])
        if len(moved) != len(rows):
            raise Conflict("a row of the floor did not move")
        for core, row in rows:
            camera.committed(core, row, time.time_ns() // 1000)
            events += len(row.events)
        observations += plan.observations * len(turn)
        commits += 1
    return Floored(
        observations, events, commits, time.perf_counter() - began, time.process_time() - cpu
    )


async def _opened(
    store: PostgresCameraStore, activation: Activation, settings: Settings, session: str
) -> CameraCore:
    """A core whose session is open and committed."""
    now_us = time.time_ns() // 1000
    core = camera.restore(activation, owner=OWNER, settings=settings.camera, now_us=now_us)
    camera.step(core, [Attach(core.camera, "floor/1", session, 1, now_us)], now_us)
    while (row := camera.pending_commit(core)) is not None:
        await store.commit([row])
        camera.committed(core, row, now_us)
    outcome = await store.open_session(core.camera, OWNER, core.generation, session)
    camera.session_opened(core, session, outcome, now_us)
    return core


def floor(pipe: Connection, settings: Settings, scene: bytes, pool: list[bytes]) -> None:
    """The process: plans come over `pipe`, one by one; None ends it. Answers :class:`Floored`."""
    while (plan := pipe.recv()) is not None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                pipe.send(runner.run(_run(settings, plan, scene, pool)))
        except EyrieError as error:
            pipe.send(error)
