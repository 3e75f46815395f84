"""Cameras that are no longer registered, and old rows of operations and decisions: looked for again
and again."""

import asyncio
import logging
import time

from actors.core.errors import EyrieError
from cluster.supervisor.fleet import FleetMemory
from cluster.supervisor.hosting import Hosting
from storage.ports.cluster import ClusterStore

RETIRE_S = 5.0  # seconds between two looks for cameras that were deleted
FORGET_S = 600.0  # seconds between two looks for old operations and decisions

log = logging.getLogger("eyrie.cluster.supervisor")


class DeletedCameras:
    """`run` for ever."""

    def __init__(self, fleet: FleetMemory, hosting: Hosting, store: ClusterStore) -> None:
        self._fleet = fleet
        self._hosting = hosting
        self._store = store

    async def run(self) -> None:
        """Look again and again."""
        forget_at = 0.0
        while True:
            await asyncio.sleep(RETIRE_S)
            try:
                await self._retire()
                if time.monotonic() >= forget_at:
                    forget_at = time.monotonic() + FORGET_S
                    await self._store.forget()
            except EyrieError as error:
                log.info("deleted cameras cannot be looked for now: %s", error)

    async def _retire(self) -> None:
        """They are wanted no more (their actors leave them by themselves); an empty process
        ends."""
        fleet = self._fleet
        known = {
            *fleet.wanted,
            *(camera for actor in fleet.actors.values() for camera in actor.cameras),
        }
        await self._hosting.refresh()
        for camera in known - fleet.owners.keys():
            log.info("camera %s was deleted", camera)
            for memory in (
                fleet.wanted,
                fleet.urgent,
                fleet.trouble,
                fleet.idle,
                fleet.split,
                fleet.restarts,
            ):
                memory.pop(camera, None)
            for actor in fleet.actors.values():
                actor.cameras.pop(camera, None)
            fleet.wake.set()
