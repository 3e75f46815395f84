"""The cluster API inside the supervisor's process: policy and keys are watched as a hub watches
them, the port is had in the end."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from actors.core.errors import EyrieError
from actors.core.settings import Settings
from actors.core.task_set import TaskSet
from cluster.api.context import ApiContext, Inspector, RoomMaker, SinkPlaces
from cluster.api.live_operations import ProgressPublisher
from cluster.api.server import ApiServer
from cluster.supervisor.models import ClusterSnapshot, PlanReport, SupervisorPort
from hub.access.authorization import Access
from hub.access.rate_limits import Limiter
from hub.access.registry_cache import CameraCache
from policy.audit import Auditor
from policy.decision.enforcer import Call
from policy.decision.policy_client import PolicyClient
from storage.ports.audit_log import AuditLog
from storage.ports.background.jobs import JobStore
from storage.ports.background.schedules import ScheduleStore
from storage.ports.background.sinks import SinkBook
from storage.ports.cluster import ClusterStore
from storage.ports.live import Publisher
from storage.ports.people import PeopleStore
from storage.ports.policy import PolicyStore
from storage.ports.processes import ApiRecord, ApiStore
from storage.ports.registry import Registry
from storage.stores import keyring_folder

RETRY_S = 3.0  # seconds before a port that was taken is tried again
RECORD_S = (
    2.0  # seconds between two records that the supervisor works, and of where its API listens
)

log = logging.getLogger("eyrie.cluster.api")

T = TypeVar("T")


class HostStores(Protocol):
    """What the API needs of storage."""

    @property
    def cluster(self) -> ClusterStore:
        """`storage.ports.cluster.ClusterStore`."""

    @property
    def registry(self) -> Registry:
        """`storage.ports.registry.Registry`."""

    @property
    def jobs(self) -> JobStore:
        """`storage.ports.background.jobs.JobStore`."""

    @property
    def sinks(self) -> SinkBook:
        """`storage.ports.background.sinks.SinkBook`."""

    @property
    def schedules(self) -> ScheduleStore:
        """`storage.ports.background.schedules.ScheduleStore`."""

    @property
    def policy(self) -> PolicyStore:
        """`storage.ports.policy.PolicyStore`."""

    @property
    def audit_log(self) -> AuditLog:
        """`storage.ports.audit_log.AuditLog`."""

    @property
    def people(self) -> PeopleStore | None:
        """`storage.ports.people.PeopleStore`; None: no tickets are taken."""

    @property
    def api(self) -> ApiStore:
        """`storage.ports.processes.ApiStore`."""

    @property
    def publisher(self) -> Publisher:
        """`storage.ports.live.Publisher`."""


class _Waking:
    """A supervisor that also hurries the progress when something was asked for."""

    def __init__(self, supervisor: SupervisorPort, hurry: Callable[[], None]) -> None:
        self._supervisor = supervisor
        self._hurry = hurry

    def wake(self) -> None:
        self._supervisor.wake()
        self._hurry()

    def snapshot(self) -> ClusterSnapshot:
        return self._supervisor.snapshot()

    def plan(self, kind: str, target: str, params: dict[str, Any]) -> PlanReport:
        return self._supervisor.plan(kind, target, params)


class ApiHost:
    """`start` never fails for a port that is taken: the supervisor has better things to do than to
    end for it."""

    def __init__(
        self,
        settings: Settings,
        stores: HostStores,
        supervisor: SupervisorPort,
        *,
        policy: Call,
        inspector: Inspector,
        room: RoomMaker,
        working: Callable[[], bool] = lambda: True,
    ) -> None:
        """`working`: whether the supervisor does its work now; only then is it recorded as
        heard."""
        self._working = working
        self._settings = settings
        self._stores = stores
        self._policy = PolicyClient(policy, stores.policy.marks, settings)
        self.progress = ProgressPublisher(stores.cluster, stores.publisher)
        auditor = Auditor(stores.audit_log, settings.policy.key_file)
        self._context = ApiContext(
            stores.cluster,
            _Waking(supervisor, self.progress.hurry),
            auditor,
            stores.registry,
            stores.jobs,
            stores.schedules,
            inspector,
            room,
            stores.sinks,
            SinkPlaces(str(keyring_folder(settings)), settings.sinks.private_receivers),
        )
        self._tasks = TaskSet(log)
        self.server: ApiServer | None = None
        self.problem = "the cluster API does not listen yet"
        self._listening = asyncio.Event()  # just now

    def start(self) -> None:
        """Begin, in the running loop."""
        self._tasks.spawn(self._serve(), "cluster-api")
        self._tasks.spawn(self._record(), "cluster-api-record")
        self._policy.start()
        self._tasks.spawn(self.progress.run(), "cluster-api-progress")

    def status(self) -> dict[str, Any]:
        """Where it listens, or why it does not."""
        if self.server is None:
            return {"problem": self.problem}
        return {"host": self._settings.cluster.api_host, "port": self.server.port}

    async def stop(self) -> None:
        """End everything."""
        await self._tasks.close()
        if self.server is not None:
            await self.server.stop()
        await self._policy.close()

    async def _serve(self) -> None:
        verifier = await self._insist(self._policy.open_verifier)
        # One API per deployment: its limits are kept here, without Redis.
        access = Access(
            verifier,
            self._policy.enforcer,
            CameraCache(self._stores.registry),
            Limiter(self._settings.limits, 1, None),
            people=self._stores.people,
        )
        self._policy.follow(access.use)

        async def listen() -> ApiServer:
            server = ApiServer(self._settings, self._context, access)
            await server.start()
            return server

        self.server = await self._insist(listen)
        self._listening.set()
        log.info(
            "the cluster API listens on %s:%d", self._settings.cluster.api_host, self.server.port
        )

    async def _record(self) -> None:
        """`eyrie status` reads from it whether the supervisor works, whether its API listens or
        not."""
        while True:
            if self._working():
                port = 0 if self.server is None else self.server.port
                with contextlib.suppress(EyrieError):
                    await self._stores.api.put(
                        ApiRecord(self._settings.cluster.api_host, port, os.getpid())
                    )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RECORD_S):
                    await self._listening.wait()
                    self._listening.clear()

    async def _insist(self, work: Callable[[], Awaitable[T]]) -> T:
        told = ""
        while True:
            try:
                return await work()
            except EyrieError as error:
                self.problem = error.detail
                if error.detail != told:
                    told = error.detail
                    log.error(
                        "the cluster API does not listen: %s (%s)", error.detail, error.next_step
                    )
            await asyncio.sleep(RETRY_S)
