"""The cluster's operations as they go, shown to hubs by Redis: what runs, and what ended lately.
The latest message holds everything."""

import asyncio
import logging
import time
from typing import Protocol

import msgspec

from actors.core.errors import EyrieError
from cluster.api import models
from storage.ports.cluster import ClusterStore

POLL_S = 0.5  # between two looks while something is open, or somebody has just woken us
IDLE_S = 5.0  # between two looks otherwise
REPEAT_S = 30.0  # shown again unchanged: Redis may have lost it
SHOWN = 20  # operations: all that are open, then the newest ended ones

log = logging.getLogger("eyrie.cluster.progress")


class OperationsPublisher(Protocol):
    """`storage.ports.live.Publisher`, as much of it as is needed."""

    async def show_operations(self, body: bytes) -> None: ...


class Shown(msgspec.Struct, frozen=True):
    """What the channel `cluster:operations` carries: open operations first, oldest first, then
    ended ones, newest first."""

    operations: list[models.OperationShown]


class ProgressPublisher:
    """One per API. :meth:`hurry` when something was asked for."""

    def __init__(self, store: ClusterStore, publisher: OperationsPublisher) -> None:
        self._store = store
        self._publisher = publisher
        self._hurry = asyncio.Event()
        self._last: tuple[bytes, float] = (b"", float("-inf"))

    def hurry(self) -> None:
        """Look now."""
        self._hurry.set()

    async def run(self) -> None:
        """Until cancelled. While a store is away nothing is shown, and nothing is lost: the next
        look shows what is."""
        open_ones = True
        while True:
            self._hurry.clear()
            try:
                open_ones = await self.publish(time.monotonic())
            except EyrieError as error:
                log.info("operations are not shown now: %s", error)
            try:
                async with asyncio.timeout(POLL_S if open_ones else IDLE_S):
                    await self._hurry.wait()
            except TimeoutError:
                continue

    async def publish(self, now: float) -> bool:
        """One look; whether something is open. Raises EyrieErrors."""
        open_ones = await self._store.open_operations(limit=SHOWN)
        ended = [one for one in await self._store.operations(limit=SHOWN) if one.over]
        shown = [*open_ones, *ended][:SHOWN]
        body = msgspec.json.encode(Shown([models.operation(one) for one in shown]))
        last, at = self._last
        if body != last or now - at >= REPEAT_S:
            await self._publisher.show_operations(body)
            self._last = (body, now)
        return bool(open_ones)
