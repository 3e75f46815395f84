"""A worker's process without Ray: its stores, jobs, schedules and connectors, opened and drained
together."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from actors.core.errors import EyrieError
from actors.core.settings import Settings
from storage.process.metrics import Metric
from storage.stores import Stores, open_stores
from workers import metrics
from workers.connecting import ConnectorRunner
from workers.kinds import ConnectorKind, by_name
from workers.own_kinds import kinds_of, schedules_of
from workers.scheduling import Scheduler
from workers.worker import Worker

CONNECTIONS = 4  # to PostgreSQL: claims, ends, and what jobs and connectors do

log = logging.getLogger("eyrie.workers")


class Connectors(Protocol):
    """The connectors of a process, by kind, and what they share."""

    kinds: Mapping[str, ConnectorKind]

    def collect(self) -> list[Metric]:
        """Their metrics."""

    async def close(self) -> None:
        """After all of them have ended."""


OpenConnectors = Callable[[Stores, Settings], Awaitable[Connectors]]


class WorkerProcess:
    """One per process; `name` is unique for each life of a worker, so that its leases are its
    own."""

    def __init__(
        self, name: str, stores: Stores, settings: Settings, connectors: Connectors | None = None
    ) -> None:
        self._stores = stores
        self.worker = Worker(name, stores.jobs, by_name(kinds_of(stores, settings)))
        self.scheduler = Scheduler(stores.schedules, schedules_of(settings), made=self.worker.wake)
        self._shared = connectors
        kinds = {} if connectors is None else connectors.kinds
        self.connectors = ConnectorRunner(name, stores.connectors, kinds)
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(
        cls, settings: Settings, name: str, connectors: OpenConnectors | None = None
    ) -> "WorkerProcess":
        """Connect and begin. Raises Unavailable, ConfigError."""
        stores = await open_stores(settings, name=name, connections=CONNECTIONS)
        try:
            shared = None if connectors is None else await connectors(stores, settings)
        except BaseException:
            await stores.close()
            raise
        process = cls(name, stores, settings, shared)
        for what, loop in (
            ("jobs", process.worker.run()),
            ("schedules", process.scheduler.run()),
            ("connectors", process.connectors.run()),
        ):
            process._tasks.append(asyncio.create_task(loop, name=f"worker-{what}"))
        return process

    async def broken(self) -> str:
        """Returns only when one of its loops has ended by a mistake; why."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        first = next(iter(done))
        error = None if first.cancelled() else first.exception()
        why = "it was stopped" if error is None else f"{type(error).__name__}: {error}"
        return f"{first.get_name()} ended: {why}"

    async def stop(self, grace_s: float) -> bool:
        """Take nothing new, give connectors up, let jobs end; whether all did."""
        jobs, *others = self._tasks
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        try:
            await self.connectors.stop()
        except EyrieError as error:
            log.warning("connectors end by their leases: %s", error)
        ended = await self.worker.drain(grace_s)
        jobs.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(jobs, return_exceptions=True)
        if self._shared is not None:
            await self._shared.close()
        await self._stores.close()
        return ended

    def collect(self) -> list[Metric]:
        """Its metrics."""
        connectors = len(self.connectors.running)
        own = metrics.collect(self.worker.counts.ends, self.worker.running, connectors)
        return own if self._shared is None else [*own, *self._shared.collect()]
