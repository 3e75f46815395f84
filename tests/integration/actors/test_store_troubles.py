"""What dashboards are told while PostgreSQL stands still or Redis is full, by real servers: a
reason in time, and its end."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest

from actors.core.messages.deliveries import Data, Welcomed
from actors.core.reasons import ACTOR_LOST, REDIS_FULL, STORE_LOST
from actors.core.settings import Settings
from actors.wall_clock import WallClock, wall_us
from cluster.ray.process import descendants
from hub.fanout.live_states import STALE_AFTER_S, LiveStates
from storage.redis.broker import RedisBroker
from storage.redis.connection import RedisLink
from storage.stores import Stores
from tests.support.camera_rig import Process, events_of, types, walk
from tests.support.processes import frozen
from tests.support.servers.store_servers import Server
from tests.support.waiting import until

Begin = Callable[[Sequence[str]], Awaitable[Process]]


@asynccontextmanager
async def shown(
    settings: Settings, site: str, camera: str
) -> AsyncIterator[Callable[[], str | None]]:
    """What a hub that listens to this site says is wrong with the camera; it must have been heard
    once."""
    broker, live = RedisBroker(settings.redis, name="hub-watch"), LiveStates()
    await broker.open()
    live.expect(site, [camera], time.monotonic())
    await broker.watch([site], [])

    async def listen() -> None:
        async for publication in broker.run():
            if publication.kind == "heartbeat":
                live.take_heartbeat(site, publication.entries, time.monotonic())

    listening = asyncio.create_task(listen())
    try:
        await until(
            lambda: (known := live.known(camera)) is not None and known.alive, what="a heartbeat"
        )

        def wrong() -> str | None:
            live.sweep(time.monotonic())
            known = live.known(camera)
            return None if known is None else known.wrong

        yield wrong
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await broker.close()


async def test_postgresql_that_stands_still_is_named_and_online_comes_back(
    servers: tuple[Server, Server, Settings], begin: Begin, site: str, camera: str
) -> None:
    await begin([camera])
    async with shown(servers[2], site, camera) as wrong:
        assert wrong() is None
        family = [servers[0].pid, *descendants(servers[0].pid)]
        for pid in family:
            os.kill(pid, signal.SIGSTOP)
        try:
            await until(lambda: all(map(frozen, family)), what="that PostgreSQL stands still")
            await until(lambda: wrong() is not None, within_s=30, what="a reason")
            assert wrong() == STORE_LOST
        finally:
            for pid in family:
                os.kill(pid, signal.SIGCONT)
        await until(lambda: wrong() is None, what="that it is online again")


async def test_redis_at_its_limit_is_named_and_online_comes_back(
    servers: tuple[Server, Server, Settings],
    begin: Begin,
    site: str,
    camera: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    process = await begin([camera])
    process.attach(camera)
    by_hand = RedisLink(servers[2].redis, "by-hand")
    async with shown(servers[2], site, camera) as wrong:
        assert wrong() is None
        [memory] = await by_hand.call([("CONFIG", "SET", "maxmemory", "1")], writing=True)
        assert memory == b"OK"
        try:
            process.data(camera, range(1, 30))
            await until(lambda: wrong() is not None, within_s=30, what="a reason")
            assert wrong() == REDIS_FULL
        finally:
            await by_hand.call([("CONFIG", "SET", "maxmemory", "0")], writing=True)
            await by_hand.close()
        await until(lambda: wrong() is None, what="that it is online again")
    told = [
        record.message
        for record in caplog.records
        if "Redis" in record.message and record.levelname == "WARNING"
    ]
    assert len(told) == 2, told


async def test_a_clock_that_is_set_makes_no_camera_stale_and_hides_no_silence(
    settings: Settings, stores: Stores, camera: str
) -> None:
    """An hour forward while observations come, two hours back before they end."""
    ahead_us = 0
    clock = WallClock(wall=lambda: wall_us() + ahead_us)
    short = msgspec.structs.replace(
        settings, camera=msgspec.structs.replace(settings.camera, stale_after_s=5.0)
    )
    process = await Process.begin(short, stores, [camera], clock=clock)
    try:
        process.attach(camera)
        await process.has(Welcomed)
        process.data(camera, range(1, 30))
        await process.acked(camera, 29)
        ahead_us += 3_600_000_000
        process.data(camera, range(30, 60))
        await process.acked(camera, 59)
        assert "camera.stale" not in types(await events_of(stores, camera))
        ahead_us -= 7_200_000_000
        told: list[str] = []
        async with asyncio.timeout(30):
            while "camera.stale" not in told:
                told = types(await events_of(stores, camera))
                await asyncio.sleep(0.1)
        assert told.count("camera.stale") == 1
    finally:
        await process.end()


async def test_a_full_redis_is_named_and_stays_named_where_cameras_have_no_events(
    servers: tuple[Server, Server, Settings], begin: Begin, site: str, camera: str
) -> None:
    """Catching up asks Redis for no memory then, and the heartbeat of a refused batch, which says
    that all is well, still arrives."""
    process = await begin([camera])
    process.attach(camera)
    by_hand, seqs = RedisLink(servers[2].redis, "by-hand"), iter(range(1, 10_000))
    standing = walk([1])

    async def see() -> None:
        while True:
            process.send(
                Data(camera, f"{process.hub}/1", "s1", next(seqs), wall_us(), "json", standing)
            )
            await asyncio.sleep(0.02)

    async with shown(servers[2], site, camera) as wrong, asyncio.TaskGroup() as tasks:
        seeing = tasks.create_task(see())
        await process.acked(camera, 5)
        await by_hand.call([("CONFIG", "SET", "maxmemory", "1")], writing=True)
        try:
            await until(lambda: wrong() is not None, within_s=30, what="a reason")
            ends = time.monotonic() + 2.0  # ten heartbeats
            while time.monotonic() < ends:
                assert wrong() == REDIS_FULL
                await asyncio.sleep(0.01)
        finally:
            await by_hand.call([("CONFIG", "SET", "maxmemory", "0")], writing=True)
            await by_hand.close()
        await until(lambda: wrong() is None, what="that it is online again")
        seeing.cancel()


async def test_what_has_to_be_read_back_from_a_database_that_stands_still_holds_no_heartbeat(
    servers: tuple[Server, Server, Settings], begin: Begin, site: str, camera: str
) -> None:
    """Events that were committed while Redis was full are read back from PostgreSQL, which stands
    still by then: the reason is told."""
    process = await begin([camera])
    process.attach(camera)
    by_hand = RedisLink(servers[2].redis, "by-hand")
    family = [servers[0].pid, *descendants(servers[0].pid)]
    async with shown(servers[2], site, camera) as wrong:
        await by_hand.call([("CONFIG", "SET", "maxmemory", "1")], writing=True)
        try:
            process.data(camera, range(1, 60))
            await process.acked(camera, 59)
            await until(lambda: wrong() == REDIS_FULL, within_s=30, what="that Redis is full")
            family = [servers[0].pid, *descendants(servers[0].pid)]
            for pid in family:
                os.kill(pid, signal.SIGSTOP)
            await until(lambda: all(map(frozen, family)), what="that PostgreSQL stands still")
        finally:
            await by_hand.call([("CONFIG", "SET", "maxmemory", "0")], writing=True)
            await by_hand.close()
        try:
            found: set[str | None] = set()
            told_at = time.monotonic() + STALE_AFTER_S + 2.0

            def told() -> bool:
                found.add(wrong())
                return time.monotonic() > told_at and STORE_LOST in found

            await until(told, within_s=30, what="the end of the look")
            assert ACTOR_LOST not in found, "heartbeats waited for PostgreSQL"
        finally:
            for pid in family:
                os.kill(pid, signal.SIGCONT)
        await until(lambda: wrong() is None, within_s=30, what="that it is online again")
