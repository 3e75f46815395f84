"""A store that takes no writes as a dashboard sees it, over the whole way from device to websocket:
the reason, and its end by itself."""

import asyncio
import time
from pathlib import Path

import pytest

from actors.core.reasons import REDIS_READ_ONLY, STORE_FULL, STORE_READ_ONLY
from storage.postgres.pool import Database
from storage.redis.connection import Command, RedisLink
from tests.support.camera_rig import settings_of
from tests.support.hub.whole_way import whole_way
from tests.support.servers import store_servers
from tests.support.servers.small_disk import filled, small_disk
from tests.support.servers.store_fixtures import Servers

TOLD_S = 10.0  # design section 4, promise 6
FULL_AFTER_S = 100.0  # seconds until PostgreSQL has used up what it had reserved


async def test_a_database_that_only_reads_is_named_and_online_comes_back(
    servers: Servers, tmp_path: Path
) -> None:
    settings = settings_of(servers.settings.postgres.dsn, servers.settings.redis.url)
    operator = await Database.open(settings.postgres, name="operator")

    async def change(setting: str) -> None:
        await operator.fetch("SET default_transaction_read_only = off")
        await operator.fetch(f"ALTER SYSTEM {setting}")
        await operator.fetch("SELECT pg_reload_conf()")

    try:
        async with whole_way(settings, tmp_path) as way:
            await way.shows(None)
            await change("SET default_transaction_read_only = on")
            try:
                await way.shows(STORE_READ_ONLY)
            finally:
                await change("RESET default_transaction_read_only")
            await way.shows(None)
            await way.acked()
    finally:
        await operator.close()


@pytest.mark.parametrize(
    ("command", "undo"),
    [
        (
            ("REPLICAOF", "127.0.0.1", "1"),
            ("REPLICAOF", "NO", "ONE"),
        ),  # what a failover leaves behind; nobody listens there
        (
            ("CONFIG", "SET", "min-replicas-to-write", "1"),
            ("CONFIG", "SET", "min-replicas-to-write", "0"),
        ),
    ],
    ids=["a-replica", "too-few-replicas"],
)
async def test_a_redis_that_only_reads_is_named_and_online_comes_back(
    servers: Servers, tmp_path: Path, command: Command, undo: Command
) -> None:
    settings = settings_of(servers.settings.postgres.dsn, servers.settings.redis.url)
    operator = RedisLink(settings.redis, "operator")
    try:
        async with whole_way(settings, tmp_path) as way:
            await way.shows(None)
            assert await operator.call([command], writing=True) == [b"OK"]
            try:
                await way.shows(REDIS_READ_ONLY)
                await way.acked()  # what is acked needs PostgreSQL alone
                assert way.on_channel[-1] == ("stale", REDIS_READ_ONLY)
            finally:
                await operator.call([undo], writing=True)
            await way.shows(None)
    finally:
        await operator.close()


@pytest.mark.prove
async def test_a_full_disk_is_named_in_time_and_heals_by_itself(tmp_path: Path) -> None:
    with (
        small_disk() as disk,
        store_servers.postgres(durable=True, within=disk) as (_postgres, dsn),
        store_servers.redis() as (_redis, url),
    ):
        async with whole_way(settings_of(dsn, url), tmp_path) as way:
            await way.shows(None)
            await way.acked()
            with filled(disk):
                committed, since = 0, time.monotonic()
                async with asyncio.timeout(FULL_AFTER_S):
                    while way.on_channel[-1][0] == "online":
                        if (acked := way.sent - way.stream.pending) > committed:
                            committed, since = acked, time.monotonic()
                        await asyncio.sleep(0.05)
                told_after_s = time.monotonic() - since
                await way.shows(STORE_FULL)
            await way.shows(None)
            await way.acked()
            assert told_after_s < TOLD_S, f"told {told_after_s:.1f} s after the last commit"
