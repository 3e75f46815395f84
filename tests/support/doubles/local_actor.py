"""A real camera actor over doubles of the stores, in this process, behind the ports that a hub
uses."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from actors.camera_actor import CameraActor
from actors.core.errors import NotFound
from actors.core.settings import CameraSettings
from actors.ports import ActorHandle, Link, LinkUser
from storage.ports.processes import ActorRecord
from tests.support.doubles.fleet_stores import MemoryActors
from tests.support.doubles.memory_postgres import (
    MemoryCameraStore,
    MemoryDeadLetterStore,
    MemoryEventStore,
)
from tests.support.doubles.memory_redis import MemoryPublisher
from tests.support.doubles.memory_registry import MemoryRegistry
from tests.support.doubles.near_link import NearLinks
from tests.support.doubles.stores import MemoryStores


@dataclass
class ActorsOwn:
    """The shape of `actors.activation.ActorStores` over memory."""

    cameras: MemoryCameraStore
    events: MemoryEventStore
    publisher: MemoryPublisher
    registry: MemoryRegistry
    dead_letters: MemoryDeadLetterStore
    actors: MemoryActors

    async def close(self) -> None:
        """Nothing to close."""


class LocalActor:
    """`actors.ports.Directory` and `ActorHandle` at once: one actor hosts whatever is asked for."""

    def __init__(self, memory: MemoryStores, settings: CameraSettings) -> None:
        self.name = "actor.local"
        self.written_off: list[str] = []  # why it should have ended; nothing here may write it off
        self._stores = ActorsOwn(
            memory.cameras,
            memory.events,
            memory.publisher,
            memory.registry,
            memory.dead_letters,
            MemoryActors(),
        )
        self.actor = CameraActor(
            self.name, self._stores, settings, capacity=64, written_off=self.written_off.append
        )
        self._memory = memory
        self._links = NearLinks(self.actor, self.name)

    async def start(self) -> None:
        """Begin, with a record as a supervisor writes it: without one the first heartbeat makes the
        actor leave its cameras."""
        await self._stores.actors.put(ActorRecord(self.name, state="ready"))
        self.actor.start()

    async def locate(self, cameras: Sequence[str]) -> dict[str, ActorHandle]:
        """Itself, once it has activated them."""
        for camera in cameras:
            await self._memory.cameras.assign(camera, self.name, previous=None)
        refused = await self.actor.adopt(cameras)
        return {camera: self for camera in cameras if camera not in refused}

    async def living(self, name: str) -> ActorHandle | None:
        """Itself."""
        return self if name == self.name else None

    def forget(self, name: str) -> None:
        """It does not go away."""

    async def connect(self, hub: str, user: LinkUser) -> Link:
        return await self._links.connect(hub, user)

    async def reset_counts(
        self, camera: str, lines: Sequence[str] | None, reason: str | None
    ) -> str:
        return await self.actor.registry.reset_counts(camera, lines, reason)

    async def clear_alert(self, camera: str, rule: str, place: str) -> str:
        return await self.actor.registry.clear_alert(camera, rule, place)

    async def refresh(self, cameras: Sequence[str]) -> dict[str, int]:
        """Nothing to look for."""
        return {}

    async def replay(self, letter: int, by: str) -> str:
        """Not here."""
        raise NotFound(f"letter {letter} is not replayed here")


@asynccontextmanager
async def local_actor(
    memory: MemoryStores, settings: CameraSettings | None = None
) -> AsyncIterator[LocalActor]:
    """Start one and stop it. Fails when it was told to end meanwhile: what was asked of it then
    came from a process that is no more."""
    made = LocalActor(memory, settings or CameraSettings(commit_interval_s=0.02))
    await made.start()
    try:
        yield made
    finally:
        await made.actor.stop(2.0)
    assert made.written_off == []
