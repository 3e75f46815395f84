"""Unit costs measured: one private stack, four loads after each other, and what each part used
meanwhile; and one load measured, to hold a prediction against."""

import asyncio
import contextlib
import importlib.metadata
import math
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import msgspec

from actors.core.errors import StartError
from load_tests.capacity.derivation import Point, derive
from load_tests.capacity.load_window import (
    SITE,
    DashboardLoad,
    Devices,
    dashboards,
    devices,
    names_of,
)
from load_tests.capacity.model import PlannedFleet, UnitCosts
from load_tests.drivers.dashboard_plan import FleetReport
from load_tests.drivers.simulated_dashboard import SAMPLE_EVERY
from load_tests.harness.environment import this_machine
from load_tests.harness.processor_time import cpu_between
from load_tests.harness.stack import Counting, Stack, stack
from load_tests.harness.synthetic_scene import scene_of, walk
from storage.postgres.pool import Database

OBJECTS, ZONES, LINES = 5, 3, 1
SLOW_FPS, FAST_FPS = 2.0, 10.0
DASHBOARDS = 100
CAMERAS = {1: 8, 32: 32}  # by density: whole actor processes
WARM_S = 3.0
MEASURE_S = 10.0
SETTLE_S = 4.0  # before the idle stack is measured


class _Look(msgspec.Struct, frozen=True):
    """`began` and `ended`: (when, processor seconds by part). What a look costs by itself lies
    between the two, in neither window."""

    began: tuple[float, dict[str, float]]
    counts: dict[str, int]
    stored: "_Stored"
    report: FleetReport | None
    ended: tuple[float, dict[str, float]]


class _Stored(msgspec.Struct, frozen=True):
    events: int
    event_bytes: int
    wal_bytes: int


def calibrate(seed: int, per_actor: int, tell: Callable[[str], None]) -> UnitCosts:
    """Unit costs at a density of `CAMERAS`: about 80 seconds. Raises StartError when the stack
    fails."""
    cameras = CAMERAS[per_actor]
    with _running(per_actor) as (running, counting):
        tell(f"{cameras} cameras, at most {per_actor} in an actor process")
        before = _stored(running)
        idle = _point(running, counting, None, 0, 0.0, DashboardLoad(None))
        tell(_line("idle", idle))
        points = []
        with _registered(running, seed, cameras, FAST_FPS) as sending:
            for name, fps, count in (
                ("slow", SLOW_FPS, 0),
                ("fast", FAST_FPS, 0),
                ("watched", FAST_FPS, DASHBOARDS),
            ):
                with dashboards(running, count) as watching:
                    points.append(_point(running, counting, sending, cameras, fps, watching, count))
                tell(_line(name, points[-1]))
        after = _stored(running)
    made = after.events - before.events
    if made <= 0:
        raise StartError("no event was stored: there is nothing to calibrate by")
    slow, fast, watched = points
    return derive(
        idle,
        slow,
        fast,
        watched,
        per_actor=per_actor,
        event_bytes=(after.event_bytes - before.event_bytes) // made,
        source="python -m load_tests model --calibrate",
        measured=datetime.now(UTC).date().isoformat(),
        version=importlib.metadata.version("eyrie"),
        machine=this_machine(),
    )


def measure(seed: int, per_actor: int, fleet: PlannedFleet, tell: Callable[[str], None]) -> Point:
    """What a stack uses under `fleet` (one site, a node: this machine)."""
    with _running(per_actor) as (running, counting):
        time.sleep(SETTLE_S)
        with (
            _registered(running, seed, fleet.cameras, fleet.fps) as sending,
            dashboards(running, fleet.dashboards) as watching,
        ):
            found = _point(
                running, counting, sending, fleet.cameras, fleet.fps, watching, fleet.dashboards
            )
        tell(_line("measured", found))
    return found


@contextlib.contextmanager
def _running(per_actor: int) -> Iterator[tuple[Stack, Counting]]:
    env = {"EYRIE_CLUSTER_CAMERAS_PER_ACTOR": str(per_actor), "EYRIE_LOG_LEVEL": "warning"}
    with stack(env) as running, running.counting() as counting:
        yield running, counting


@contextlib.contextmanager
def _registered(running: Stack, seed: int, cameras: int, fps: float) -> Iterator[Devices]:
    """Cameras, and devices that play them at `fps` at most."""
    running.register(names_of(cameras), SITE, msgspec.json.encode(scene_of(ZONES, LINES)))
    pool = walk(seed, OBJECTS, math.ceil(fps * (WARM_S + MEASURE_S + 2)) + 1)
    with devices(running, pool, cameras, drivers=1, sockets=4) as sending:
        yield sending


def _point(
    running: Stack,
    counting: Counting,
    sending: Devices | None,
    cameras: int,
    fps: float,
    watching: DashboardLoad,
    watchers: int = 0,
) -> Point:
    """What is used under one load, or under none."""

    def look() -> _Look:
        began = time.perf_counter(), running.cpu_of_processes()
        counts, stored, report = counting.read(), _stored(running), watching.report()
        ended = time.perf_counter(), running.cpu_of_processes()
        return _Look(began, counts, stored, report, ended)

    acked = 0
    if sending is None:
        time.sleep(SETTLE_S)
        first = look()
        time.sleep(MEASURE_S)
        last = look()
    else:
        driven, first, last = sending.drive(fps, WARM_S, MEASURE_S, look)
        acked = sum(one.in_window for one in driven)
    (from_s, used), (to_s, using) = first.ended, last.began
    took_s = to_s - from_s
    rows, events = (
        last.counts.get(name, 0) - first.counts.get(name, 0) for name in ("rows", "events")
    )
    sampled = math.ceil(watchers / SAMPLE_EVERY)
    seen = last.report
    delivered = (
        seen.events + len(seen.ages) * watchers / sampled if seen is not None and sampled else 0.0
    )
    return Point(
        cameras,
        fps,
        watchers,
        {part: seconds / took_s for part, seconds in cpu_between(used, using).items()},
        running.pss_bytes(),
        sum(name.startswith("camera ") for name in running.cpu_of_processes()),
        delivered / took_s,
        acked / MEASURE_S,
        rows / took_s,
        events / took_s,
        (last.stored.wal_bytes - first.stored.wal_bytes) / took_s,
    )


def _stored(running: Stack) -> _Stored:
    """Events there are, what they take on disk, and how far the write-ahead log is."""

    async def read() -> _Stored:
        database = await Database.open(running.settings.postgres, name="bench")
        try:
            return _Stored(
                int(await database.fetch_value("SELECT count(*) FROM events")),
                int(
                    await database.fetch_value(
                        "SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0) FROM "
                        "pg_inherits WHERE inhparent = 'events'::regclass"
                    )
                ),
                int(
                    await database.fetch_value(
                        "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"
                    )
                ),
            )
        finally:
            await database.close()

    return asyncio.run(read())


def _line(name: str, point: Point) -> str:
    cores = ", ".join(f"{part} {used:.3f}" for part, used in sorted(point.cpu.items()))
    return (
        f"{name:9} {point.observations_per_s:7.0f} observations/s, {point.deliveries_per_s:6.0f} "
        "deliveries/s, "
        f"{point.rows_per_s:5.0f} rows/s, {point.events_per_s:5.1f} events/s; cores: {cores}; "
        f"{sum(point.pss.values()) / 2**20:.0f} MiB in all"
    )
