"""Runs connectors: claims its share of them, renews their leases, begins again what ended.

A worker takes no more than its share (connectors by living workers, rounded up) and gives up what
it has beyond it, so a worker that comes gets some, and those of one that went are taken when their
leases are over.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from actors.core.errors import EyrieError, Fenced
from storage.ports.background.connectors import ClaimedConnector, ConnectorClaim, ConnectorStore
from workers.kinds import ConnectorKind, RunningConnector

log = logging.getLogger("eyrie.workers.connectors")


@dataclass(eq=False)
class _Held:
    claimed: ClaimedConnector
    task: asyncio.Task[None]
    lease_until: float  # monotonic

    @property
    def claim(self) -> ConnectorClaim:
        return self.claimed.claim


class ConnectorRunner:
    """`worker` is the name of the process. Leases of `lease_s` are renewed every third of it."""

    def __init__(
        self,
        worker: str,
        store: ConnectorStore,
        kinds: Mapping[str, ConnectorKind],
        *,
        lease_s: float = 15.0,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._worker = worker
        self._store = store
        self._kinds = dict(kinds)
        self._lease_s = lease_s
        self._chance = chance
        self._held: dict[str, _Held] = {}
        self._away = False

    @property
    def running(self) -> list[str]:
        """The names of those it has."""
        return sorted(self._held)

    async def run(self) -> None:
        """For ever; `stop` gives all up."""
        while True:
            try:
                await self.round()
                self._away = False
            except EyrieError as error:
                if not self._away:
                    log.warning("connectors wait: %s", error)
                self._away = True
                self._expire()
            await asyncio.sleep(self._lease_s / 3 * (0.8 + 0.2 * self._chance()))

    async def stop(self) -> None:
        """Give all up, and be no worker any more."""
        for held in list(self._held.values()):
            await self._give_up(held)
        await self._store.leave(self._worker)

    async def round(self) -> None:
        """Tell that it lives, renew, let go, take, begin. Raises the family."""
        share = await self._store.beat(self._worker, seen_s=2 * self._lease_s)
        if self._held:
            sent = time.monotonic()
            claims = [held.claim for held in self._held.values()]
            mine = await self._store.renew(claims, lease_s=self._lease_s)
            for held in list(self._held.values()):
                held.lease_until = sent + self._lease_s
                if held.claim.name not in mine:
                    self._drop(held, "it was changed, paused, or another worker has it")
        for held in list(self._held.values()):
            if held.task.done():
                await self._ended(held)
        for name in self.running[share.connectors_each :]:
            log.info("connector %s is left to another worker", name)
            await self._give_up(self._held[name])
        await self._take(share.connectors_each - len(self._held))

    async def _take(self, count: int) -> None:
        if count <= 0 or not self._kinds:
            return
        sent = time.monotonic()
        for claimed in await self._store.claim(
            self._worker, [*self._kinds], limit=count, lease_s=self._lease_s
        ):
            name = claimed.claim.name
            run = self._kinds[claimed.kind].run(RunningConnector(claimed, self._store))
            task: asyncio.Task[None] = asyncio.ensure_future(run)
            log.info("connector %s begins, generation %d", name, claimed.claim.generation)
            self._held[name] = _Held(claimed, task, sent + self._lease_s)

    async def _ended(self, held: _Held) -> None:
        """Its task ended by itself: it is begun again, later each time."""
        error = None if held.task.cancelled() else held.task.exception()
        if isinstance(error, Fenced):
            self._drop(held, str(error))
            return
        why = "it ended" if error is None else f"{type(error).__name__}: {error}"
        if error is not None and not isinstance(error, EyrieError):
            log.error("connector %s fails by a mistake", held.claim.name, exc_info=error)
        retry = self._kinds[held.claimed.kind].retry
        delay_s = retry.delay_s(held.claimed.failures + 1, self._chance())
        log.warning("connector %s begins again in %.1f s: %s", held.claim.name, delay_s, why)
        await self._store.release(held.claim, after_s=delay_s, error=why)
        self._held.pop(held.claim.name, None)

    async def _give_up(self, held: _Held) -> None:
        """Stop it first: the next owner must not begin beside it."""
        held.task.cancel()
        await asyncio.gather(held.task, return_exceptions=True)
        self._held.pop(held.claim.name, None)
        await self._store.release(held.claim)

    def _drop(self, held: _Held, why: str) -> None:
        log.warning("connector %s is lost: %s", held.claim.name, why)
        held.task.cancel()
        self._held.pop(held.claim.name, None)

    def _expire(self) -> None:
        for held in list(self._held.values()):
            if time.monotonic() > held.lease_until:
                self._drop(held, "its lease could not be renewed")
