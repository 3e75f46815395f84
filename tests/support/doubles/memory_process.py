"""A camera actor over the doubles of storage, and a hub made of calls
(`tests.support.camera_rig.Process`): what decides an actor's troubles without servers."""

import secrets
from collections.abc import Sequence
from typing import Any

from actors.activation import ActorStores
from actors.camera_actor import CameraActor
from actors.core.settings import CameraSettings
from storage.ports.processes import ActorRecord
from tests.support.camera_rig import SCENE, Process
from tests.support.doubles.fleet_stores import MemoryActors
from tests.support.doubles.memory_postgres import (
    MemoryCameraStore,
    MemoryDatabase,
    MemoryDeadLetterStore,
    MemoryEventStore,
)
from tests.support.doubles.memory_redis import MemoryPublisher, MemoryRedis
from tests.support.doubles.memory_registry import MemoryRegistry

SITE = "site-1"


class ProcessStores:
    """What one actor process opens (`actors.activation.ActorStores`), over a database and a Redis
    that others share."""

    def __init__(
        self,
        database: MemoryDatabase | None = None,
        redis: MemoryRedis | None = None,
        actors: MemoryActors | None = None,
    ) -> None:
        self.database = database or MemoryDatabase()
        self.redis = redis or MemoryRedis()
        self.cameras = MemoryCameraStore(self.database)
        self.events = MemoryEventStore(self.database)
        self.publisher = MemoryPublisher(self.redis)
        self.registry = MemoryRegistry(self.database)
        self.dead_letters = MemoryDeadLetterStore(self.database)
        self.actors = actors or MemoryActors()

    async def close(self) -> None:
        """Nothing to close."""

    async def give(self, owner: str, cameras: Sequence[str]) -> None:
        """Register those that are not, and make `owner` the owner of all."""
        for camera in cameras:
            await self.registry.register(camera, SITE, scene=SCENE)
            previous = (await self.cameras.owners())[camera]
            assert await self.cameras.assign(camera, owner, previous=previous)

    def shown_events(self, camera: str) -> list[int]:
        """The offsets of a camera's events that Redis was given, in order."""
        stream = self.redis.site(SITE).streams.get(camera, [])
        return [publication.offset for publication in stream]


async def begin(
    stores: ProcessStores,
    cameras: Sequence[str],
    *,
    over: ActorStores | None = None,
    **camera: Any,
) -> Process:
    """A new incarnation that owns `cameras`, with short intervals and no silence unless asked for.
    `over`: what the actor uses instead of `stores`."""
    name = f"actor.{secrets.token_hex(4)}"
    await stores.give(name, cameras)
    await stores.actors.put(ActorRecord(name))
    chosen: dict[str, Any] = {"commit_interval_s": 0.02, "heartbeat_s": 0.2}
    chosen |= {"stale_after_s": 1_000.0, "offline_after_s": 2_000.0}
    actor = CameraActor(name, over or stores, CameraSettings(**{**chosen, **camera}))
    actor.start()
    assert await actor.adopt(cameras) == {}
    return Process(actor, stores)  # type: ignore[arg-type]
