"""The supervisor as a detached Ray actor, and the handle that the launcher's driver and the hubs
use.

It alone is restarted by Ray (as Ray Serve does with its controller), as a process that does nothing
yet. Its state is in PostgreSQL, and every method opens it first; the driver and every hub ask for
its turn every few seconds (`actors.supervision`), so a restarted one goes on.
"""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Sequence
from typing import Any

import ray
import ray.exceptions

from actors.core.errors import Unavailable
from actors.core.task_set import TaskSet
from actors.on_ray.calls import answer, find, kill, whereabouts
from actors.on_ray.directory import SUPERVISOR
from actors.supervision import IDLE_S, Turn
from cluster.api.service import ApiHost
from cluster.ray import session
from cluster.ray.inspection import RayInspector
from cluster.ray.machine import RayMachine
from cluster.ray.nodes import HEAD
from cluster.supervisor import metrics as cluster_metrics
from cluster.supervisor.supervisor import Supervisor
from cluster.supervisor.upkeep.partitions import PartitionMaintenance, PostgresPartitions
from cluster.supervisor.upkeep.row_retention import RowRetention
from policy.actor.ray_policy import PolicyCaller
from storage.embedded.data_dir import of, start_time
from storage.postgres.row_retention import forget
from storage.process.log_file import log_to_file
from storage.process.metrics import ProcessMetrics
from storage.process.settings_files import node_settings, read_resolved
from storage.stores import open_stores

CONNECTIONS = 4  # to PostgreSQL
OPEN_S = 30.0
REPLACE_S = (
    15.0  # seconds without work after which the supervisor's process is killed: it stands still
)
# seconds after which one is ended that this process has never heard: it may still be beginning
UNHEARD_S = 2 * OPEN_S
API_STOP_S = 1.0  # seconds that the cluster API may take to end

log = logging.getLogger("eyrie.cluster.supervisor")


class RaySupervisor:
    """The actor class."""

    def __init__(self, settings_path: str) -> None:
        self._path = settings_path
        self._supervisor: Supervisor | None = None
        self._opening: asyncio.Task[Supervisor] | None = None
        self._partitions: PartitionMaintenance | None = None
        self._rows: RowRetention | None = None
        self._api: ApiHost | None = None
        self._tasks = TaskSet(log)

    async def open(self) -> str:
        """Begin to supervise; again is harmless. Raises Unavailable, ConfigError."""
        await self._opened()
        return SUPERVISOR

    async def ready(self, timeout_s: float) -> dict[str, Any]:
        """:meth:`Supervisor.ready`."""
        return await (await self._opened()).ready(timeout_s)

    async def status(self) -> dict[str, Any]:
        """:meth:`Supervisor.status`."""
        supervisor = await self._opened()
        status = supervisor.status()
        if self._partitions is not None:
            status["partitions"] = self._partitions.status()
        if self._rows is not None:
            status["rows"] = self._rows.status()
        if self._api is not None:
            status["api"] = self._api.status()
        return status

    async def turn(self) -> dict[str, Any]:
        """`actors.supervision.Turn` as a dictionary, after it was opened."""
        return {
            "age_s": (await self._opened()).turn_age_s(),
            "started": start_time(os.getpid()) or 0,
            **whereabouts(),
        }

    async def ensure(self, cameras: list[str], doubted: list[str]) -> dict[str, str]:
        """:meth:`Supervisor.ensure`."""
        return await (await self._opened()).ensure(cameras, doubted)

    async def locate(self, cameras: list[str], doubted: list[str]) -> dict[str, Any]:
        """The same for hubs, under ``placed``, and under ``links`` where those processes take
        links; none of a process that has not said so yet: its cameras are asked for again."""
        supervisor = await self._opened()
        placed = await supervisor.ensure(cameras, doubted)
        links = supervisor.fleet.links(set(placed.values()))
        return {
            "placed": {camera: name for camera, name in placed.items() if name in links},
            "links": links,
        }

    async def stop(self, grace_s: float) -> bool:
        """:meth:`Supervisor.stop`."""
        supervisor = (
            await self._opened()
        )  # one that Ray has just restarted has everything still to stop
        if self._api is not None:
            with contextlib.suppress(
                TimeoutError
            ):  # a request that hangs must not take the time of the last commits
                async with asyncio.timeout(API_STOP_S):
                    await self._api.stop()
        await self._tasks.close()
        return await supervisor.stop(grace_s)

    async def _opened(self) -> Supervisor:
        """One attempt at a time, for all who ask; it goes on when they no longer wait."""
        if self._supervisor is not None:
            return self._supervisor
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._begin(), name="supervisor-opening")
        return await asyncio.shield(self._opening)

    async def _begin(self) -> Supervisor:
        settings = node_settings(self._path)
        log_to_file(settings, SUPERVISOR)
        stores = await open_stores(settings, name=SUPERVISOR, connections=CONNECTIONS)
        try:
            machine = await asyncio.to_thread(RayMachine, self._path, settings)
            supervisor = Supervisor(settings, stores, machine, broken=_end_process)
            await supervisor.start()
        except BaseException:
            await stores.close()  # every question tries again, with connections of its own
            raise
        self._supervisor = supervisor
        self._partitions = PartitionMaintenance(
            PostgresPartitions(stores.database, stores.keyring), settings.events
        )
        self._tasks.spawn(self._partitions.run(), "partitions")
        self._rows = RowRetention(
            lambda: forget(stores.database, settings.dead_letters, settings.sessions)
        )
        self._tasks.spawn(self._rows.run(), "row-retention")
        caller = PolicyCaller(
            settings.policy.replicas,
            namespace=settings.ray.namespace,
            timeout_s=settings.policy.decide_timeout_s,
        )
        self._api = ApiHost(
            settings,
            stores,
            supervisor,
            policy=caller,
            inspector=RayInspector(settings.ray.namespace),
            room=machine,
            working=lambda: supervisor.turn_age_s() < IDLE_S,
        )
        self._api.start()
        metrics = ProcessMetrics(
            of(settings), lambda: cluster_metrics.collect(supervisor.snapshot())
        )
        self._tasks.spawn(metrics.run(), "process-metrics")
        log.info("the supervisor is at work")
        return supervisor


def _end_process(reason: str) -> None:
    log.critical("the supervisor ends itself, Ray starts it again: %s", reason)
    os._exit(1)


class SupervisorHandle:
    """The running supervisor. Every call has a deadline in seconds and raises Unavailable when it
    is gone or too slow."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    async def open(self, timeout_s: float = OPEN_S) -> None:
        """Begin to supervise."""
        await answer(self._handle.open.remote(), timeout_s, SUPERVISOR)

    async def ready(self, timeout_s: float) -> dict[str, Any]:
        """Wait until policy and hubs are up; the status."""
        return dict(await answer(self._handle.ready.remote(timeout_s), timeout_s + 2.0, SUPERVISOR))

    async def status(self, timeout_s: float = 5.0) -> dict[str, Any]:
        """What runs."""
        return dict(await answer(self._handle.status.remote(), timeout_s, SUPERVISOR))

    async def ensure(
        self, cameras: Sequence[str], doubted: Sequence[str] = (), timeout_s: float = 5.0
    ) -> dict[str, str]:
        """Camera → actor name."""
        return dict(
            await answer(
                self._handle.ensure.remote(list(cameras), list(doubted)), timeout_s, SUPERVISOR
            )
        )

    async def stop(self, grace_s: float) -> bool:
        """Stop everything in order, the supervisor last. True when all that was stepped is
        durable."""
        try:
            return bool(await answer(self._handle.stop.remote(grace_s), grace_s + 5.0, SUPERVISOR))
        finally:
            kill(self._handle)


async def start(settings_path: str) -> SupervisorHandle:
    """Start the supervisor, or take over the running one. Joins the Ray cluster of the settings
    unless this process has joined one."""
    settings = read_resolved(settings_path)
    if not ray.is_initialized():
        session.connect(settings.ray)
    options: dict[str, Any] = {
        "name": SUPERVISOR,
        "namespace": settings.ray.namespace,
        "lifetime": "detached",
        "num_cpus": 0,
        "max_restarts": -1,
        "max_task_retries": 0,
        "max_concurrency": 1000,
        "get_if_exists": True,
        "enable_task_events": False,
        "resources": {
            HEAD: 0.001
            # beside the driver: its API listens on loopback there, and without the head there is no
            # cluster anyway
        },
    }
    try:
        handle = SupervisorHandle(
            ray.remote(RaySupervisor).options(**options).remote(settings_path)
        )
    except ray.exceptions.RayError as error:
        raise Unavailable(f"the supervisor was not started: {type(error).__name__}") from error
    await handle.open()
    return handle


async def mend(settings_path: str, namespace: str, turn: Turn | None, silent_s: float) -> bool:
    """Start a supervisor where there is none; end one that has not worked for :data:`REPLACE_S`,
    for Ray to start it again. Whether one was ended.

    Ray never ends a process that stands still. `turn` is what it said last; where that was another
    process, which has ended since, Ray is asked to end the present one: it knows it. Raises
    Unavailable.
    """
    handle = await find(SUPERVISOR, namespace)
    if handle is None:
        log.error("there is no supervisor; one is started")
        await start(settings_path)
        return False
    if turn is not None and stands_still(
        turn, silent_s, node=str(whereabouts()["node"]), started=start_time(turn.pid)
    ):
        log.error(
            "the supervisor (pid %d) is killed after %.0f s, for Ray to start it again",
            turn.pid,
            silent_s,
        )
        os.kill(turn.pid, signal.SIGKILL)
        return True
    if silent_s >= UNHEARD_S:
        log.error("a supervisor that was never heard is ended by Ray after %.0f s", silent_s)
        await asyncio.to_thread(ray.kill, handle, no_restart=False)
        return True
    return False


def stands_still(turn: Turn, silent_s: float, *, node: str, started: int | None) -> bool:
    """Whether the process that said `turn` is to be ended, seen from `node`, where the process of
    that pid has `started` (None: there is none). Neither a process of another node nor one that was
    given the pid since is meant."""
    return silent_s >= REPLACE_S and turn.node == node and turn.started == started


async def attach(namespace: str) -> SupervisorHandle | None:
    """The running supervisor, or None."""
    handle = await find(SUPERVISOR, namespace)
    return None if handle is None else SupervisorHandle(handle)
