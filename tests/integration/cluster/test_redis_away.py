"""Redis is really stopped, and supervisor and actor processes start: cameras are placed and
committed, and shown once it is back."""

import signal
from dataclasses import replace
from pathlib import Path

import msgspec

from actors.core.settings import RedisSettings
from storage.embedded.redis import answers
from storage.stores import Stores
from tests.integration.actors.test_store_troubles import shown
from tests.integration.cluster.test_local_moves import cluster
from tests.support.servers import store_servers
from tests.support.servers.store_fixtures import Servers
from tests.support.waiting import until

CAMERAS = ["cam-0", "cam-1"]


async def test_who_starts_while_redis_is_away_commits_and_shows_it_when_it_is_back(
    servers: Servers, stores: Stores
) -> None:
    with store_servers.redis() as (redis, url):
        redis.stop(signal.SIGTERM)
        settings = msgspec.structs.replace(
            servers.settings, redis=RedisSettings(url=url, timeout_s=5.0)
        )
        async with cluster(
            replace(servers, settings=settings), stores, CAMERAS
        ) as rig:  # which waits for acks
            redis.start(lambda: answers(Path(url.removeprefix("unix://"))))
            for camera in CAMERAS:
                async with shown(
                    settings, "site", camera
                ) as wrong:  # a heartbeat tells of what was shown, and of nothing else
                    await until(
                        lambda wrong=wrong: wrong() is None,  # type: ignore[misc]
                        what=f"that {camera} is online",
                    )
            await rig.more(40)
            await rig.sound()
