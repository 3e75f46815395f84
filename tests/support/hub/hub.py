"""A whole hub in this process over doubles of the stores: a real uvicorn on a free port, and what
tests say to it."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect

from actors.core.messages.events import published
from actors.core.settings import (
    AuthSettings,
    CameraSettings,
    ChannelsSettings,
    DeadLettersSettings,
    HubSettings,
    LimitsSettings,
    PolicySettings,
    RegistrySettings,
    Settings,
)
from actors.ports import ActorHandle, Directory
from hub.access.context import HubContext
from hub.access.grants import Grants
from hub.dashboards.connection import Dashboard
from hub.dashboards.extension import Extension
from hub.hub import Hub
from policy.decision.model import Decider, Decision, DecisionInput
from policy.identity.keys import ensure_secret
from policy.identity.tokens import JwtVerifier, issue
from storage.ports.audit_log import AuditLog
from storage.ports.events import EventRow
from storage.ports.live import LiveEvent, LiveState, LiveSummary
from storage.ports.people import PeopleStore
from storage.ports.policy import Audit, PolicyMarks, PolicyStore, Revocation
from storage.ports.processes import ActorRecord, HubRecord
from storage.ports.rate_limits import Buckets, GrantStore, SignInStore
from tests.support.doubles.memory_audit_log import MemoryAuditLog
from tests.support.doubles.memory_postgres import StoredRow, number
from tests.support.doubles.memory_redis import MemoryBroker
from tests.support.doubles.memory_revisions import MemoryDecisions, MemoryRevisions, MemoryShadows
from tests.support.doubles.memory_sign_ins import MemorySignIns
from tests.support.doubles.stores import MemoryStores, memory_stores
from tests.support.tokens import auth_settings

# for clients that speak no TLS: loading authorities takes long
PLAIN = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)


@dataclass
class Policy:
    """A `Decider` with switches: `denied` holds (action, target) pairs, `redact` and `max_hz` are
    everybody's obligations.

    Cameras with the tag ``secret`` are nobody's. `broken` is raised by the next decision.
    """

    denied: set[tuple[str, str]] = field(default_factory=set)
    redact: tuple[str, ...] = ()
    max_hz: float | None = None
    unavailable: bool = False
    valid_s: float | None = None  # how long each decision holds
    asked: list[DecisionInput] = field(default_factory=list)
    broken: Exception | None = None

    async def decide(self, question: DecisionInput) -> Decision:
        self.asked.append(question)
        await asyncio.sleep(0)
        if self.broken is not None:
            error, self.broken = self.broken, None
            raise error
        if "secret" in question.resource.get("tags", ()):
            return Decision(False, "denied", "r1")
        if self.unavailable:
            return Decision(False, "policy_unavailable", "r1")
        target = (
            question.resource.get("camera")
            or question.resource.get("site")
            or question.resource["kind"]
        )
        if (question.action, target) in self.denied:
            return Decision(False, "denied", "r1")
        until = None if self.valid_s is None else time.time() + self.valid_s
        return Decision(
            True, "allowed", "r1", redact=self.redact, max_hz=self.max_hz, valid_until=until
        )


class NoActors:
    """A `Directory` without any actor."""

    async def locate(self, cameras: Sequence[str]) -> dict[str, ActorHandle]:
        """Nobody."""
        return {}

    async def living(self, name: str) -> ActorHandle | None:
        """Nobody."""
        return None

    def forget(self, name: str) -> None:
        """Nothing to forget."""


class Records:
    """Doubles of the fleet's and policy's tables."""

    def __init__(self) -> None:
        self.hubs: dict[str, HubRecord] = {}
        self.found = PolicyMarks(None, [])

    async def put(self, record: Any) -> None:
        """Insert or replace."""
        self.hubs[record.name] = record

    async def all(self) -> list[Any]:
        """All."""
        return list(self.hubs.values())

    async def remove(self, name: str) -> None:
        """Forget one."""
        self.hubs.pop(name, None)

    async def beat(self, name: str) -> bool:
        """Known?"""
        return name in self.hubs

    async def marks(self) -> PolicyMarks:
        """What was set."""
        return self.found

    async def revoke(self, revocation: Revocation, *, audit: Audit | None = None) -> None:
        """Add one."""
        if audit is not None:
            await audit(None)
        self.found = PolicyMarks(self.found.revision, [*self.found.revocations, revocation])


class _Stores:
    """The shape of `hub.access.context.HubStores` over memory."""

    def __init__(
        self,
        memory: MemoryStores,
        policy: PolicyStore | None = None,
        audit_log: AuditLog | None = None,
    ) -> None:
        self.cameras = memory.cameras
        self.events, self.counts, self.alerts = memory.events, memory.counts, memory.alerts
        self.registry = memory.registry
        self.dead_letters = memory.dead_letters
        self.hubs = Records()
        self.actors = _Actors()
        self.policy = policy or self.hubs
        self.revisions, self.decisions = MemoryRevisions(), MemoryDecisions()
        self.shadows = MemoryShadows()
        self.audit_log = audit_log or MemoryAuditLog()
        self.privacy, self.sinks = memory.privacy, memory.sinks

    async def close(self) -> None:
        """Nothing to close."""


class _Actors(Records):
    async def all(self) -> list[ActorRecord]:
        """None."""
        return []


@dataclass
class TestHub:
    """A running hub and the stores under it."""

    __test__ = False

    hub: Hub
    memory: MemoryStores
    broker: MemoryBroker
    policy: Policy
    auth: AuthSettings

    @property
    def port(self) -> int:
        """Its public port."""
        return self.hub.port

    @property
    def dashboards(self) -> dict[Dashboard, None]:
        """Those that are connected to it."""
        return self.hub.node.connections.connected

    @property
    def url(self) -> str:
        """Its dashboard socket."""
        return f"ws://127.0.0.1:{self.port}/connection/websocket"

    def token(self, sub: str = "ada", **options: Any) -> str:
        """A genuine token of a viewer."""
        chosen: dict[str, Any] = {"roles": ["viewer"], "sites": ["*"], "jti": f"{sub}-1"} | options
        return issue(
            self.auth,
            sub=sub,
            typ=chosen.pop("typ", "user"),
            now_s=chosen.pop("now_s", time.time()),
            **chosen,
        )

    async def metrics(self) -> str:
        """Its metrics, from the private port."""
        async with httpx.AsyncClient(timeout=30) as http:
            got = await http.get(f"http://127.0.0.1:{self.hub.private_port}/metrics")
            return got.raise_for_status().text

    async def register(
        self, *cameras: str, site: str = "north", tags: Sequence[str] = (), scene: bytes = b"{}"
    ) -> None:
        """Register cameras."""
        register = self.memory.registry.register
        for camera in cameras:
            await register(camera, site, name=camera.upper(), scene=scene, tags=tags)
            number(self.memory.database, camera, "e1", 0)

    async def show(
        self, camera: str, version: int, *, site: str = "north", generation: int = 1, **fields: Any
    ) -> None:
        """Publish a state and its summary, as an actor does."""
        summary = state_of(camera, site, generation, version, **fields)
        tracks = summary.pop("tracks")
        body = msgspec.json.encode(summary | {"tracks": tracks})
        entry = LiveSummary(
            camera, generation, version, summary["offset"], msgspec.json.encode(summary)
        )
        await self.memory.publisher.publish(
            [LiveState(site, camera, generation, version, summary["offset"], body)],
            [],
            {site: [entry]},
            {},
        )

    async def beat(self, *entries: tuple[str, int, int, int], site: str = "north") -> None:
        """Publish a heartbeat of (camera, generation, version, offset)."""
        await self.memory.publisher.publish(
            [], [], {}, {site: [LiveSummary(*entry) for entry in entries]}
        )

    async def happen(
        self,
        camera: str,
        offset: int,
        *,
        site: str = "north",
        epoch: str = "e1",
        publish: bool = True,
        **fields: Any,
    ) -> None:
        """Store an event and, unless told otherwise, publish it."""
        body, digest = event_body(camera, site, epoch, offset, **fields), bytes(32)
        row = EventRow(camera, epoch, offset, body, digest, 0)
        self.memory.database.events.append(StoredRow(site, row))
        number(self.memory.database, camera, epoch, offset)
        if publish:
            await self.memory.publisher.publish(
                [], [LiveEvent(site, camera, 1, epoch, offset, published(body, digest))], {}, {}
            )

    @asynccontextmanager
    async def dashboard(self, token: str | None = None, **options: Any) -> AsyncIterator["Dash"]:
        """A raw JSON client; connected unless `token` is empty."""
        async with connect(self.url, compression=None, **options) as socket:
            dash = Dash(socket)
            if token != "":
                dash.connected = await dash.ask("connect", token=token or self.token())
            yield dash


class Dash:
    """A client that speaks plain Centrifuge JSON: what it receives is kept in order, pings are
    answered."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.connected: dict[str, Any] = {}
        self.pushes: list[dict[str, Any]] = []
        self.pings = 0
        self._id = 0

    def encode(self, command: dict[str, Any]) -> str | bytes:
        """A command as a frame; an empty one answers a ping."""
        return json.dumps(command)

    def decode(self, frame: str | bytes) -> list[dict[str, Any]]:
        """The messages of a frame."""
        text = frame if isinstance(frame, str) else frame.decode()
        return [json.loads(line) for line in text.split("\n")]

    async def ask(self, method: str, **fields: Any) -> dict[str, Any]:
        """Send a command and return its reply; pushes that come first are kept."""
        self._id += 1
        await self.socket.send(self.encode({"id": self._id, method: fields}))
        wanted = self._id
        async with asyncio.timeout(30):
            while True:
                for message in await self.receive():
                    if message.get("id") == wanted:
                        return message

    async def receive(self) -> list[dict[str, Any]]:
        """The messages of the next frame."""
        messages = self.decode(await self.socket.recv())
        for message in messages:
            if not message:
                self.pings += 1
                await self.socket.send(self.encode({}))
            elif "push" in message:
                self.pushes.append(message["push"])
        return messages

    async def push(self, within_s: float = 30.0) -> dict[str, Any]:
        """The next push nobody has taken yet."""
        async with asyncio.timeout(within_s):
            while not self.pushes:
                await self.receive()
        return self.pushes.pop(0)

    async def publication(self, within_s: float = 30.0) -> dict[str, Any]:
        """The next publication: ``{data, offset}``."""
        push = await self.push(within_s)
        return dict(push["pub"])


def state_of(
    camera: str, site: str, generation: int, version: int, **fields: Any
) -> dict[str, Any]:
    """A state as a dictionary."""
    made: dict[str, Any] = {
        "camera": camera,
        "site": site,
        "generation": generation,
        "version": version,
        "offset": 0,
        "status": "online",
        "reason": None,
        "time": "2026-03-01T12:00:00.000000Z",
        "received": "2026-03-01T12:00:00.010000Z",
        "fps": 10.0,
        "objects": {"person": 1},
        "occupancy": {},
        "counts": {},
        "severity": "info",
        "last_event": None,
        "health": {},
        "tracks": [],
    }
    return made | fields


def event_body(camera: str, site: str, epoch: str, offset: int, **fields: Any) -> bytes:
    """The stored body of an event."""
    made: dict[str, Any] = {
        "id": f"{camera}/{epoch}/{offset}",
        "type": "zone.entered",
        "v": 1,
        "site": site,
        "camera": camera,
        "epoch": epoch,
        "offset": offset,
        "session": "s1",
        "seq": offset,
        "time": "2026-03-01T12:00:00.000000Z",
        "received": "2026-03-01T12:00:00.010000Z",
        "severity": "info",
        "data": {},
    }
    return msgspec.json.encode(made | fields)


@asynccontextmanager
async def running_hub(
    folder: Path,
    *,
    memory: MemoryStores | None = None,
    hub: HubSettings | None = None,
    camera: CameraSettings | None = None,
    channels: ChannelsSettings | None = None,
    name: str = "hub-test",
    directory: Directory | None = None,
    extension: Extension | None = None,
    limits: LimitsSettings | None = None,
    buckets: Buckets | None = None,
    grants: GrantStore | None = None,
    decider: Decider | None = None,
    registry: RegistrySettings | None = None,
    auth: AuthSettings | None = None,
    policy_store: PolicyStore | None = None,
    audit_log: AuditLog | None = None,
    dead_letters: DeadLettersSettings | None = None,
    sign_ins: SignInStore | None = None,
    people: PeopleStore | None = None,
) -> AsyncIterator[TestHub]:
    """Start a hub on a free port and stop it. `folder` keeps its token secret; `decider` is asked
    instead of the double with switches."""
    memory = memory or memory_stores()
    auth = auth or auth_settings(folder)
    ensure_secret(folder / "policy.secret")
    settings = Settings(
        hub=hub or HubSettings(port=0),
        auth=auth,
        camera=camera or CameraSettings(wall_hz=20.0),
        channels=channels or ChannelsSettings(),
        limits=limits or LimitsSettings(),
        policy=PolicySettings(key_file=str(folder / "policy.secret")),
        registry=registry or RegistrySettings(),
        dead_letters=dead_letters or DeadLettersSettings(),
    )
    policy = Policy()
    broker = memory.broker()
    context = HubContext(
        settings,
        _Stores(memory, policy_store, audit_log),
        JwtVerifier(auth),
        decider or policy,
        directory or NoActors(),
        name,
        buckets=buckets,
        grants=Grants(grants),
        sign_ins=sign_ins or MemorySignIns(),
        people=people,
    )
    made = Hub(context, broker, instance="test", extension=extension)
    await made.start()
    try:
        yield TestHub(made, memory, broker, policy, auth)
    finally:
        await made.stop(0.1)
