"""The dashboard side of a hub over doubles of the stores, without a server: sockets are objects
that remember what was written to them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actors.core.settings import (
    AuthSettings,
    CameraSettings,
    HubSettings,
    LimitsSettings,
    PolicySettings,
    Settings,
)
from hub.access.authorization import Access
from hub.access.rate_limits import Limiter
from hub.access.registry_cache import CameraCache
from hub.dashboards.connection import Dashboard
from hub.dashboards.extension import Extension
from hub.dashboards.node import Node
from hub.fanout.fanout import Client
from hub.protocol.disconnects import CloseCode
from policy.identity.tokens import JwtVerifier, issue
from tests.support.doubles.memory_redis import MemoryBroker
from tests.support.doubles.stores import MemoryStores, memory_stores
from tests.support.hub.hub import Policy
from tests.support.tokens import NOW, auth_settings
from tests.support.waiting import until


class Wire:
    """A `ClientSocket` that takes everything and remembers it."""

    def __init__(self) -> None:
        self.written = b""
        self.closed: CloseCode | None = None
        self.reading = True

    def write(self, data: bytes) -> None:
        """As one websocket frame or several."""
        self.written += data

    def close(self, close: CloseCode) -> None:
        """Remember how it ended."""
        self.closed = close

    def pause_reading(self) -> None:
        """No more input."""
        self.reading = False

    def resume_reading(self) -> None:
        """Input again."""
        self.reading = True

    @property
    def messages(self) -> list[dict[str, Any]]:
        """All JSON messages written so far; frames are unmasked text (RFC 6455, 5.2)."""
        found, rest = [], self.written
        while rest:
            size, start = rest[1] & 0x7F, 2
            if size == 126:
                size, start = int.from_bytes(rest[2:4], "big"), 4
            elif size == 127:
                size, start = int.from_bytes(rest[2:10], "big"), 10
            text, rest = rest[start : start + size], rest[start + size :]
            found += [json.loads(line) for line in text.splitlines()]
        return found

    def replies(self, id: int) -> list[dict[str, Any]]:
        """The answers to command `id`."""
        return [message for message in self.messages if message.get("id") == id]

    def pushes(self, channel: str) -> list[dict[str, Any]]:
        """What was pushed on a channel."""
        found = [message["push"] for message in self.messages if "push" in message]
        return [push for push in found if push.get("channel") == channel]


class Subscriber(Client):
    """A client of the fan-out that remembers what it gets."""

    def __init__(self) -> None:
        self.wire = Wire()
        super().__init__(self.wire.write, 65_536)
        self.ended: list[tuple[str, CloseCode]] = []

    def drop(self, close: CloseCode) -> None:
        """It is closed."""
        self.closing = True

    def unsubscribe(self, channel: str, close: CloseCode) -> None:
        """Remember it."""
        self.ended.append((channel, close))

    @property
    def got(self) -> list[dict[str, Any]]:
        """Its publications."""
        return [message["push"]["pub"] for message in self.wire.messages]


@dataclass
class TokenClock:
    """Seconds since 1970, for tokens and decisions."""

    now_s: float = float(NOW)


@dataclass
class NodeRig:
    """A node, the doubles under it, and its clients."""

    node: Node
    memory: MemoryStores
    broker: MemoryBroker
    policy: Policy
    cameras: CameraCache
    auth: AuthSettings
    clock: TokenClock
    wires: dict[Dashboard, Wire] = field(default_factory=dict)

    def token(self, sub: str = "ada", **options: Any) -> str:
        """A genuine token of a viewer."""
        chosen: dict[str, Any] = {"roles": ["viewer"], "sites": ["*"], "jti": f"{sub}-1"} | options
        return issue(self.auth, sub=sub, typ="user", now_s=self.clock.now_s, **chosen)

    def open(self, address: str = "192.0.2.1") -> tuple[Dashboard, Wire]:
        """A socket, before its first command."""
        wire = Wire()
        dashboard = self.node.connections.open(wire, "json", address)
        self.wires[dashboard] = wire
        return dashboard, wire

    async def ask(
        self, dashboard: Dashboard, id: int, method: str, **fields: Any
    ) -> dict[str, Any]:
        """Send a command; its answer."""
        wire = self.wires[dashboard]
        dashboard.on_message(json.dumps({"id": id, method: fields}).encode())
        await until(lambda: wire.replies(id) or wire.closed, what=f"an answer to {method}")
        return wire.replies(id)[0] if wire.replies(id) else {}

    async def connect(self, sub: str = "ada", **options: Any) -> tuple[Dashboard, Wire]:
        """A dashboard that is authorized."""
        dashboard, wire = self.open()
        await self.ask(dashboard, 1, "connect", token=self.token(sub, **options))
        return dashboard, wire


@asynccontextmanager
async def running_node(
    folder: Path,
    hub: HubSettings | None = None,
    extension: Extension | None = None,
    policy: Policy | None = None,
    *,
    loops: bool = True,
) -> AsyncIterator[NodeRig]:
    """Started and stopped; its clock for tokens stands at :data:`NOW` until it is set.

    Without `loops` nothing happens by itself: the broker is not read, no clock turns.."""
    memory, policy, auth = memory_stores(), policy or Policy(), auth_settings(folder)
    settings = Settings(
        hub=hub or HubSettings(port=0),
        camera=CameraSettings(wall_hz=50.0),
        policy=PolicySettings(key_file=""),
    )
    broker, cameras = memory.broker(), CameraCache(memory.registry)
    limiter = Limiter(LimitsSettings(), 1, None)
    clock = TokenClock()
    access = Access(JwtVerifier(auth), policy, cameras, limiter, lambda: clock.now_s)
    node = Node(
        settings,
        name="hub-a",
        access=access,
        cameras=cameras,
        broker=broker,
        events=memory.events,
        extension=extension,
    )
    if loops:
        node.start()
    try:
        yield NodeRig(node, memory, broker, policy, cameras, auth, clock)
    finally:
        await node.stop()
