"""The cluster API on a real port over doubles: a cluster that stands still, and what tests say to
it."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec

from actors.core.errors import BadInput, NotFound, Unavailable
from actors.core.settings import (
    AuthSettings,
    ClusterSettings,
    HubSettings,
    LimitsSettings,
    PolicySettings,
    Settings,
)
from cluster.api.context import ApiContext, SinkPlaces
from cluster.api.server import ApiServer
from cluster.supervisor.models import (
    PLAN_KINDS,
    ActorState,
    CameraState,
    ClusterSnapshot,
    NodeState,
    PlanReport,
    PlanStep,
    ServiceState,
)
from hub.access.authorization import Access
from hub.access.rate_limits import Limiter
from hub.access.registry_cache import CameraCache
from policy.audit import Auditor
from policy.decision.model import Decider
from policy.identity.keys import ensure_secret
from policy.identity.tokens import JwtVerifier, issue
from storage.ports.background.sinks import SinkBook
from storage.ports.cluster import WantedShape
from tests.support.doubles.memory_audit_log import MemoryAuditLog
from tests.support.doubles.memory_cluster import MemoryClusterStore
from tests.support.doubles.stores import MemoryStores, memory_stores
from tests.support.hub.hub import Policy
from tests.support.tokens import auth_settings

NODE = "a" * 56
OTHER = "b" * 56
SNAPSHOT = ClusterSnapshot(
    nodes=(
        NodeState(
            NODE,
            "10.0.0.1",
            4.0,
            2**34,
            64,
            True,
            False,
            True,
            False,
            "",
            2,
            2,
            ("hub-0", "policy-0"),
        ),
        NodeState(
            OTHER, "10.0.0.2", 4.0, 2**34, 64, True, False, False, False, "", 0, 0, ("hub-1",)
        ),
    ),
    actors=(
        ActorState(
            "gate.0011223344",
            NODE,
            11,
            "ready",
            ("gate",),
            1,
            "most room",
            12.5,
            0.001,
            0.004,
            0.03,
        ),
        ActorState("dock.0011223344", NODE, 12, "ready", ("dock",), 1, "most room", 11.5),
    ),
    services=(
        ServiceState("hub-0", "hub", 0, "ready", NODE, 21),
        ServiceState("hub-1", "hub", 1, "starting", OTHER, 0, "port 8000 is in use", 3, "spread"),
        ServiceState("policy-0", "policy", 0, "ready", NODE, 31),
        ServiceState("worker-0", "worker", 0, "ready", NODE, 41),
    ),
    cameras=(
        CameraState("dock", "north", "dock.0011223344", NODE, "hosted", 3),
        CameraState(
            "gate",
            "north",
            "gate.0011223344",
            NODE,
            "hosted",
            7,
            0.012,
            4,
            0.02,
            1,
            0,
            "it died: killed",
        ),
        CameraState(
            "yard",
            "south",
            "",
            "",
            "quarantined",
            2,
            failures=6,
            last_error="it did not start",
            quarantined=True,
        ),
    ),
    wanted=WantedShape(),
    version=0,
)


@dataclass
class StillSupervisor:
    """`cluster.supervisor.models.SupervisorPort` of a cluster that stands still. `problem` is what
    every plan says; `woken` counts."""

    now: ClusterSnapshot = SNAPSHOT
    problem: str = ""
    woken: int = 0

    def wake(self) -> None:
        """Count."""
        self.woken += 1

    def snapshot(self) -> ClusterSnapshot:
        """What was set."""
        return self.now

    def plan(self, kind: str, target: str, params: dict[str, Any]) -> PlanReport:
        """One step, for a target that is there."""
        if kind not in PLAN_KINDS:
            raise BadInput(f"no kind {kind}")
        names = {
            *(node.id for node in self.now.nodes),
            *(camera.camera for camera in self.now.cameras),
            "cluster",
            "hubs",
            "policies",
        }
        names |= {
            "density",
            *(actor.name for actor in self.now.actors),
            *(service.name for service in self.now.services),
        }
        if target.rpartition(":")[2] not in names:
            raise NotFound(f"there is no {target[:80]}")
        step = PlanStep("moved", target, 1.5, ("gate",), 0.2)
        return PlanReport(kind, target, (step,), 1, 1, 0.2, 1.5, self.problem)


@dataclass
class StillInspector:
    """`cluster.api.context.Inspector`; `away` makes it fail, `profiling` waits for `go`."""

    away: bool = False
    levels: dict[str, tuple[str, float]] = field(default_factory=dict)
    profiles: int = 0

    async def log_level(self, process: str) -> dict[str, Any]:
        """What was set."""
        if self.away:
            raise Unavailable(f"{process} is gone")
        level, left_s = self.levels.get(process, ("info", 0.0))
        return {"level": level, "base": "info", "left_s": left_s or None}

    async def set_log_level(self, process: str, level: str, for_s: float) -> dict[str, Any]:
        """Set it."""
        if level:
            self.levels[process] = (level, for_s)
        else:
            self.levels.pop(process, None)
        return await self.log_level(process)

    async def profile(self, process: str, for_s: float, hz: int) -> dict[str, Any]:
        """At once."""
        await asyncio.sleep(0)
        self.profiles += 1
        return {"samples": 2, "threads": 1, "cut": False, "stacks": "MainThread;a.b 2\n"}


class Rooms:
    """`cluster.api.context.RoomMaker`."""

    def __init__(self) -> None:
        self.cameras = 0

    async def request_resources(self, cameras: int) -> None:
        """Note it."""
        self.cameras = cameras


@dataclass
class TestApi:
    """A running API and what is under it."""

    __test__ = False

    server: ApiServer
    memory: MemoryStores
    supervisor: StillSupervisor
    inspector: StillInspector
    rooms: Rooms
    policy: Policy
    audit: MemoryAuditLog
    auth: AuthSettings

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def store(self) -> MemoryClusterStore:
        """Orders and operations."""
        return self.memory.cluster

    def token(self, sub: str = "olga", **options: Any) -> str:
        """A genuine one of an administrator."""
        return issue(
            self.auth,
            sub=sub,
            typ="user",
            now_s=time.time(),
            roles=["admin"],
            sites=["*"],
            jti=f"{sub}-1",
            **options,
        )

    def client(self, sub: str = "olga") -> httpx.AsyncClient:
        """Shows the token."""
        headers = {"Authorization": f"Bearer {self.token(sub)}"}
        return httpx.AsyncClient(base_url=f"{self.url}/v1/cluster", headers=headers, timeout=30)

    def audited(self) -> list[tuple[str, str, str]]:
        """(action, target, detail) of the audit log, oldest first."""
        return [(entry.action, entry.target, entry.detail) for entry in self.audit.entries]


@asynccontextmanager
async def running_api(
    folder: Path,
    *,
    decider: Decider | None = None,
    hub: HubSettings | None = None,
    memory: MemoryStores | None = None,
    limits: LimitsSettings | None = None,
    sinks: SinkBook | None = None,
    receivers: Sequence[str] = (),
    **options: Any,
) -> AsyncIterator[TestApi]:
    """Start one on a free port. `options` go to the application; `decider` is asked instead of the
    double; `memory` is a hub's; `sinks` are kept there, and `receivers` reached."""
    mine = memory is None
    memory = memory or memory_stores()
    for camera, site in (
        (("dock", "north"), ("gate", "north"), ("yard", "south"), ("attic", "south"))
        if mine
        else ()
    ):
        await memory.registry.register(camera, site)
    auth = auth_settings(folder)
    ensure_secret(folder / "policy.secret")
    settings = Settings(
        auth=auth,
        policy=PolicySettings(key_file=str(folder / "policy.secret")),
        cluster=ClusterSettings(api_port=0, workers=0),
        hub=hub or HubSettings(),
        limits=limits or LimitsSettings(),
    )
    policy, supervisor, inspector, rooms, audit = (
        Policy(),
        StillSupervisor(),
        StillInspector(),
        Rooms(),
        MemoryAuditLog(),
    )
    access = Access(
        JwtVerifier(auth),
        decider or policy,
        CameraCache(memory.registry),
        Limiter(settings.limits, 1, None),
    )
    auditor = Auditor(audit, settings.policy.key_file)
    context = ApiContext(
        memory.cluster,
        supervisor,
        auditor,
        memory.registry,
        memory.jobs,
        memory.schedules,
        inspector,
        rooms,
        sinks or memory.sinks,
        SinkPlaces(str(folder / "keyring"), receivers),
    )
    server = ApiServer(settings, context, access, **options)
    await server.start()
    try:
        yield TestApi(server, memory, supervisor, inspector, rooms, policy, audit, auth)
    finally:
        await server.stop()


def encoded(value: Any) -> Any:
    """A struct as JSON would give it back."""
    return msgspec.json.decode(msgspec.json.encode(value))
