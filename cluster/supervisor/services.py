"""The hubs and policy replicas of a supervisor: so many of each are kept running, and what is late
can say why. Without Ray.

Fewer are wanted: the highest index stops in order (a hub turns its readiness off, carries what it
took, and spreads its dashboards' closes), then it ends.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from actors.core.errors import EyrieError, Unavailable
from actors.core.task_set import TaskSet
from cluster.supervisor.ports import Process

RETRY_S = 1.0  # seconds before one that failed is started again
PARALLEL_STOPS = 16
Start = Callable[[int], Awaitable[Process]]

log = logging.getLogger("eyrie.cluster.services")


@dataclass(slots=True, eq=False)
class Service:
    """One hub or policy replica. `state`: starting, ready, draining."""

    name: str
    kind: str
    index: int
    state: str = "starting"
    process: Process | None = None
    node: str = ""
    pid: int = 0  # until it has answered, and after its end
    last_error: str = ""
    restarts: int = -1  # the first start is none
    reason: str = ""
    since: float = 0.0  # monotonic: ready since
    task: asyncio.Task[None] | None = None


class Services:
    """`start` starts one of a kind by index, or finds the living one. `grace_s` is what a stop may
    take."""

    def __init__(
        self, starts: Mapping[str, Start], tasks: TaskSet, *, start_timeout_s: float, grace_s: float
    ) -> None:
        self.services: dict[str, Service] = {}
        self._starts = starts
        self._tasks = tasks
        self._start_timeout_s = start_timeout_s
        self._grace_s = grace_s
        self._changed = asyncio.Event()
        self._wanted: dict[str, int] = {}

    def want(self, kind: str, count: int, more: int = 0) -> list[str]:
        """Exactly `count` of a kind should run, and `more` for a while: what that begins, in words.
        To be called again and again."""
        self._wanted[kind] = count
        count += more
        done = []
        for index in range(count):
            name = f"{kind}-{index}"
            if name not in self.services:
                done.append(f"start {name}")
                self._keep(Service(name, kind, index))
        surplus = [
            s
            for s in self.services.values()
            if s.kind == kind and s.index >= count and s.state != "draining"
        ]
        busy = any(
            s.kind == kind and s.state == "draining" and s.index >= count
            for s in self.services.values()
        )
        if surplus and not busy:  # one after the other, so that dashboards find room elsewhere
            last = max(surplus, key=lambda s: s.index)
            if last.state == "ready" or last.process is None:
                done.append(f"stop {last.name}")
                last.state = "draining"
                self._tasks.spawn(self._retire(last))
        return done

    def leave(self, nodes: Collection[str]) -> dict[str, int]:
        """Nothing is to stay on `nodes`: one of a kind after the other is restarted elsewhere.

        Kind → how many more should run meanwhile: the only hub gets a second one first, so that
        somebody serves all the time.
        """
        more: dict[str, int] = {}
        for kind in self._starts:
            of_kind = [s for s in self.services.values() if s.kind == kind]
            staying = [s for s in of_kind if s.node in nodes]
            if not staying:
                continue
            settled = all(s.state == "ready" for s in of_kind)
            if len(of_kind) - len(staying) == 0 or (
                len(of_kind) > self._wanted.get(kind, 0) and self._wanted.get(kind, 0) == 1
            ):
                more[kind] = 1
            if settled and len(of_kind) > 1:
                self.restart_soon(staying[0].name)
        return more

    def found(self, name: str) -> None:
        """One lives from before: it is taken over, wanted or not, so that it can be stopped in
        order."""
        kind, _, index = name.rpartition("-")
        if kind in self._starts and index.isdigit() and name not in self.services:
            self._keep(Service(name, kind, int(index)))

    def _keep(self, service: Service) -> None:
        self.services[service.name] = service
        service.task = self._tasks.spawn(self._run(service), service.name, forever=True)

    async def _run(self, service: Service) -> None:
        """Keep one running, for ever."""
        while True:
            service.restarts += 1
            try:
                process = service.process = await self._starts[service.kind](service.index)
                where = await process.open(self._start_timeout_s)
                if isinstance(where, dict):
                    service.node, service.pid = (
                        str(where.get("node", service.node)),
                        int(where.get("pid", 0)),
                    )
                service.state, service.since = "ready", time.monotonic()
                log.info("%s is ready", service.name)
                self._changed.set()
                reason = await process.died()
                log.warning("%s is replaced: %s", service.name, reason)
                service.last_error = reason
                # it may live and be of no more use: the next start would find it again
                process.kill()
            except EyrieError as error:
                log.warning("%s did not start: %s", service.name, error)
                service.last_error = str(error)
                if service.process is not None:
                    service.process.kill()
            service.state, service.pid = "starting", 0
            await asyncio.sleep(RETRY_S * random.uniform(0.5, 1.0))

    async def _retire(self, service: Service) -> None:
        if service.task is not None:
            service.task.cancel()
        if service.process is not None:
            await stop_all([service.process], time.monotonic() + self._grace_s)
        log.info("%s has ended: fewer are wanted", service.name)
        self.services.pop(service.name, None)
        self._changed.set()

    def restart_soon(self, name: str) -> None:
        """Stop one in order; it is started again, where that is best now. Nothing happens when it
        is not ready."""
        service = self.services.get(name)
        if service is None or service.state != "ready" or service.process is None:
            return
        service.state = "draining"
        log.info("%s is restarted", name)
        self._tasks.spawn(self._stop(service.process))

    def lose(self, name: str, reason: str) -> None:
        """Replace one at once, whether it is heard of or not."""
        service = self.services.get(name)
        if service is None or service.state == "starting" or service.task is None:
            return
        log.warning("%s is replaced: %s", name, reason)
        service.task.cancel()
        if service.process is not None:
            service.process.kill()
        self._keep(
            Service(name, service.kind, service.index, last_error=reason, restarts=service.restarts)
        )

    async def _stop(self, process: Process) -> None:
        await stop_all([process], time.monotonic() + self._grace_s)

    async def ready(self, timeout_s: float) -> None:
        """Wait until all are up. Raises Unavailable naming what is not, and why."""
        try:
            async with asyncio.timeout(timeout_s):
                while any(state != "ready" for state in self.states.values()):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            late = ", ".join(
                f"{s.name} ({s.last_error or s.state})"
                for s in self.services.values()
                if s.state != "ready"
            )
            raise Unavailable(f"not ready within {timeout_s:g} s: {late}") from error

    @property
    def states(self) -> dict[str, str]:
        """Name → state, policy first."""
        return {
            s.name: s.state
            for s in sorted(self.services.values(), key=lambda s: (s.kind != "policy", s.index))
        }

    def of(self, kind: str) -> list[Process]:
        """The processes of a kind."""
        return [
            s.process for s in self.services.values() if s.kind == kind and s.process is not None
        ]

    def on_nodes(self, kind: str = "") -> dict[str, int]:
        """Node → how many (of a kind) are there."""
        counts: dict[str, int] = {}
        for service in self.services.values():
            if service.node and kind in ("", service.kind):
                counts[service.node] = counts.get(service.node, 0) + 1
        return counts


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
