"""The Ray actor of a worker: detached, no CPU reserved, never restarted by Ray; the supervisor
starts, watches and replaces it."""

import asyncio
import logging
import os
import secrets
from collections.abc import Mapping
from typing import Any

import ray
import ray.exceptions

from actors.core.errors import Conflict, Unavailable
from actors.on_ray.calls import answer, find, kill, whereabouts
from storage.embedded.data_dir import of
from storage.process import cpu_load
from storage.process.inspection import inspect
from storage.process.log_file import log_to_file
from storage.process.metrics import ProcessMetrics
from storage.process.settings_files import node_settings
from workers.worker_process import OpenConnectors, WorkerProcess

MAX_CALLS = 20
PROBE_S = 1.0  # seconds between two questions whether a worker gets on
STUCK_S = 5.0  # seconds one may take to answer
MISSES = 5  # questions in a row without an answer after which it is killed

log = logging.getLogger("eyrie.workers")


class RayWorker:
    """The actor class. The constructor does no I/O; `open` does."""

    def __init__(
        self, settings_path: str, index: int, connectors: OpenConnectors | None = None
    ) -> None:
        self._settings_path = settings_path
        self._index = index
        self._connectors = connectors
        self._process: WorkerProcess | None = None
        self._copying: asyncio.Task[None] | None = None

    async def open(self) -> dict[str, Any]:
        """Work; where it runs. Again is harmless. Raises Unavailable, ConfigError."""
        if self._process is None:
            settings = node_settings(self._settings_path)
            log_to_file(settings, name_of(self._index))
            name = f"{name_of(self._index)}:{os.getpid()}:{secrets.token_hex(4)}"
            process = await WorkerProcess.open(settings, name, self._connectors)
            self._process = process
            metrics = ProcessMetrics(of(settings), process.collect)
            self._copying = asyncio.create_task(metrics.run(), name="process-metrics")
            log.info("%s is at work", name)
        return self.where()

    async def lifetime(self) -> str:
        """Returns only when it is beyond repair, with the reason."""
        return "it is not open" if self._process is None else await self._process.broken()

    def where(self) -> dict[str, Any]:
        """Where it runs, and what it costs (cores in use)."""
        return {**whereabouts(), "cpu": cpu_load.cpu()}

    async def status(self) -> dict[str, Any]:
        """The same, for the supervisor's questions."""
        return self.where()

    async def inspect(self, what: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """:func:`storage.process.inspection.inspect`."""
        return await asyncio.to_thread(inspect, what, arguments)

    async def stop(self, grace_s: float) -> bool:
        """Drain and close; True when every job ended."""
        return True if self._process is None else await self._process.stop(grace_s)


class WorkerHandle:
    """One worker (a `cluster.supervisor.ports.Process`). Every call has a deadline in seconds;
    failures are Unavailable."""

    def __init__(self, name: str, handle: Any) -> None:
        self.name = name
        self._handle = handle

    async def open(self, timeout_s: float) -> dict[str, Any]:
        """Wait for the process and have it work: ``{node, pid, cpu}``."""
        return dict(await answer(self._handle.open.remote(), timeout_s, self.name))

    async def load(self, timeout_s: float) -> float:
        """Cores in use."""
        return float(dict(await answer(self._handle.status.remote(), timeout_s, self.name))["cpu"])

    async def died(self) -> str:
        """Wait, for ever if need be, until the process is gone or of no more use; why. One that
        stands still, or whose loop a job blocks, is killed: its jobs go elsewhere by their leases,
        and Ray would never notice."""
        life = asyncio.ensure_future(self._lifetime())
        try:
            missed = 0
            while not life.done():
                try:
                    await self.load(STUCK_S)
                    missed = 0
                except Unavailable as error:
                    missed += 1
                    if missed == MISSES and not life.done():
                        self.kill()
                        return f"killed: {error.detail}"
                await asyncio.wait([life], timeout=PROBE_S)
            return life.result()
        finally:
            life.cancel()

    async def _lifetime(self) -> str:
        try:
            return str(await self._handle.lifetime.remote())
        except ray.exceptions.RayError as error:
            return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]

    async def stop(self, grace_s: float) -> bool:
        """Drain within `grace_s`, then end."""
        try:
            return bool(await answer(self._handle.stop.remote(grace_s), grace_s + 5.0, self.name))
        finally:
            self.kill()

    def kill(self) -> None:
        """End the process at once."""
        kill(self._handle)


def name_of(index: int) -> str:
    """The actor name of worker `index` (0, 1, …)."""
    return f"worker-{index}"


def start(
    settings_path: str,
    index: int,
    *,
    namespace: str,
    placed: Mapping[str, Any] | None = None,
    connectors: OpenConnectors | None = None,
) -> WorkerHandle:
    """Create worker `index`; `open` it next. `placed` are Ray options that say where; `connectors`
    opens those it can run (a function of a module, which Ray names to the process).

    Raises Conflict when an actor of that name still lives, Unavailable when Ray is away.
    """
    options: dict[str, Any] = {
        "name": name_of(index),
        "namespace": namespace,
        "lifetime": "detached",
        "num_cpus": 0,
        "max_restarts": 0,
        "max_task_retries": 0,
        "max_concurrency": MAX_CALLS,
        "enable_task_events": False,
        **(placed or {}),
    }
    try:
        handle = ray.remote(RayWorker).options(**options).remote(settings_path, index, connectors)
    except ray.exceptions.ActorAlreadyExistsError as error:
        raise Conflict(f"{name_of(index)} exists already") from error
    except ray.exceptions.RayError as error:
        raise Unavailable(f"{name_of(index)} was not started: {type(error).__name__}") from error
    return WorkerHandle(name_of(index), handle)


async def attach(index: int, *, namespace: str) -> WorkerHandle | None:
    """The living worker `index`, or None."""
    handle = await find(name_of(index), namespace)
    return None if handle is None else WorkerHandle(name_of(index), handle)
