"""What dashboards are told while PostgreSQL stands still or Redis is full, by real servers: a reason in time, and its end."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from actors.core.reasons import REDIS_FULL, STORE_LOST
from actors.core.settings import Settings
from cluster.ray_start import descendants
from hub.live_states import LiveStates
from storage.redis_broker import RedisBroker
from storage.redis_link import RedisLink
from tests.support.camera_rig import Process
from tests.support.processes import frozen
from tests.support.store_servers import Server
from tests.support.waiting import until

Begin = Callable[[Sequence[str]], Awaitable[Process]]


@asynccontextmanager
async def shown(settings: Settings, site: str, camera: str) -> AsyncIterator[Callable[[], str | None]]:
    """What a hub that listens to this site says is wrong with the camera; it must have been heard once."""
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
        await until(lambda: (known := live.known(camera)) is not None and known.alive, what="a heartbeat")

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
    servers: tuple[Server, Server, Settings], begin: Begin, site: str, camera: str, caplog: pytest.LogCaptureFixture
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
    told = [record.message for record in caplog.records if "Redis" in record.message and record.levelname == "WARNING"]
    assert len(told) == 2, told
