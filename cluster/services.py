"""The hubs and policy replicas of a supervisor: each is kept running, and what is late can say why. Without Ray."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence

from actors.core.errors import EyrieError, Unavailable
from cluster.ports import Process

RETRY_S = 1.0  # seconds before one that failed is started again
PARALLEL_STOPS = 16

log = logging.getLogger("eyrie.cluster.services")


class Services:
    """`start_timeout_s` is what one start may take. `states` is ``ready`` or ``starting`` by name."""

    def __init__(self, start_timeout_s: float) -> None:
        self.states: dict[str, str] = {}
        self._start_timeout_s = start_timeout_s
        self._late: dict[str, str] = {}  # why the last start failed
        self._processes: dict[str, Process] = {}
        self._changed = asyncio.Event()

    async def keep(self, name: str, start: Callable[[], Awaitable[Process]]) -> None:
        """Keep one running, for ever. `name` is in `states` already."""
        while True:
            try:
                process = await start()
                self._processes[name] = process
                await process.open(self._start_timeout_s)
                self.states[name] = "ready"
                log.info("%s is ready", name)
                self._changed.set()
                reason = await process.died()
                log.warning("%s is replaced: %s", name, reason)
                process.kill()  # it may live and be of no more use: the next start would find it again
            except EyrieError as error:
                log.warning("%s did not start: %s", name, error)
                self._late[name] = str(error)
                stale = self._processes.get(name)
                if stale is not None:
                    stale.kill()
            self.states[name] = "starting"
            await asyncio.sleep(RETRY_S * random.uniform(0.5, 1.0))

    async def ready(self, timeout_s: float) -> None:
        """Wait until all are up. Raises Unavailable naming what is not, and why."""
        try:
            async with asyncio.timeout(timeout_s):
                while any(state != "ready" for state in self.states.values()):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            late = ", ".join(f"{name} ({self._late.get(name, state)})" for name, state in self.states.items() if state != "ready")
            raise Unavailable(f"not ready within {timeout_s:g} s: {late}") from error

    def of(self, kind: str) -> list[Process]:
        """The processes whose names begin with `kind`."""
        return [process for name, process in self._processes.items() if name.startswith(f"{kind}-")]


async def stop_all(processes: Sequence[Process], deadline: float) -> bool:
    """Stop until `deadline` (monotonic), then kill; True when every stop succeeded."""
    tokens = asyncio.Semaphore(PARALLEL_STOPS)

    async def one(process: Process) -> bool:
        async with tokens:
            try:
                return await process.stop(max(0.5, deadline - time.monotonic()))
            except EyrieError as error:
                log.warning("%s did not stop in order: %s", process.name, error)
                return False
            finally:
                process.kill()

    return all(await asyncio.gather(*(one(process) for process in processes)))
