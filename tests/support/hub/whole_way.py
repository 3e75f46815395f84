"""The whole way over real servers: a device by the edge socket, a hub, a camera actor, and a
dashboard by the hub's websocket.

Everything is real but the processes, which are one, and the calls between them.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from websockets.asyncio.client import connect

from actors.core.backoff import Backoff
from actors.core.messages.observations import Observation
from actors.core.settings import HubSettings, PolicySettings, Settings
from actors.ports import ActorHandle
from edge.client import EdgeClient
from edge.stream import Stream
from hub.access.context import HubContext
from hub.hub import Hub
from policy.identity.keys import ensure_secret
from policy.identity.tokens import JwtVerifier, issue
from storage.migrations import migrate
from storage.ports.processes import ActorRecord
from storage.stores import Stores, open_broker, open_stores
from tests.support.camera_rig import SCENE, walk
from tests.support.cluster.local_machine import LocalProcess
from tests.support.hub.hub import Dash, Policy
from tests.support.tokens import auth_settings
from tests.support.waiting import until

FRAME_S = 0.05  # seconds between two frames of the device
CONNECTIONS = 4  # of the hub to PostgreSQL


class _Directory:
    """Finds the one actor process."""

    def __init__(self, process: LocalProcess) -> None:
        self._process = process

    async def locate(self, cameras: Sequence[str]) -> dict[str, ActorHandle]:
        """It hosts them all."""
        return {camera: self._process for camera in cameras}

    async def living(self, name: str) -> ActorHandle | None:
        """It lives."""
        return self._process

    def forget(self, name: str) -> None:
        """There is no other."""


class Way:
    """What its dashboard was shown of camera and wall, in order, as (status, reason); and what its
    device sent."""

    def __init__(self, stores: Stores, camera: str, stream: Stream) -> None:
        self.stores = stores
        self.camera = camera
        self.stream = stream
        self.sent = 0
        self.on_channel: list[tuple[str, str | None]] = []
        self.state: dict[str, Any] = {}  # what the camera's channel carried last
        self.on_wall: list[tuple[str, str | None]] = []
        self.sending = asyncio.Event()
        self.sending.set()

    def take(self, push: dict[str, Any]) -> None:
        """A push, or the first publication of a subscription."""
        data = push["pub"]["data"]
        if "cameras" in data:
            self.on_wall += [(one["status"], one.get("reason")) for one in data["cameras"]]
        else:
            self.state = data
            self.on_channel.append((data["status"], data.get("reason")))

    async def shows(self, reason: str | None, *, within_s: float = 30.0) -> None:
        """Wait until camera and wall are shown as stale for `reason`; None: as online."""
        wanted = ("online", None) if reason is None else ("stale", reason)
        lanes = self.on_channel, self.on_wall
        await until(
            lambda: all(lane and lane[-1] == wanted for lane in lanes),
            within_s=within_s,
            what=f"{wanted}, not {lanes}",
        )

    async def acked(self) -> None:
        """Everything that the device sent is durable. It is held from sending more meanwhile."""
        self.sending.clear()
        await self.stream.drain()
        position = (await self.stores.cameras.ownership([self.camera]))[self.camera].position
        assert position.last_seq == self.sent, "what was acked is there, and nothing else"
        self.sending.set()


@asynccontextmanager
async def whole_way(settings: Settings, folder: Path) -> AsyncIterator[Way]:
    """Start all of it over the servers of `settings`; its device sends twenty frames a second, with
    an event in every tenth."""
    await migrate(settings)
    camera, site, name = (
        f"cam-{secrets.token_hex(3)}",
        f"site-{secrets.token_hex(3)}",
        f"actor.{secrets.token_hex(3)}",
    )
    auth = auth_settings(folder)
    ensure_secret(folder / "policy.secret")
    policy = PolicySettings(key_file=str(folder / "policy.secret"))
    settings = msgspec.structs.replace(settings, hub=HubSettings(port=0), auth=auth, policy=policy)
    async with AsyncExitStack() as ends:
        stores = await open_stores(settings, name="hub-whole", connections=CONNECTIONS)
        ends.push_async_callback(stores.close)
        await stores.registry.register(camera, site, scene=SCENE)
        await stores.actors.put(ActorRecord(name, state="ready"))
        assert await stores.cameras.assign(camera, name, previous=None)
        process = LocalProcess(name, settings, 1, "here")
        ends.push_async_callback(process.close)
        ends.callback(process.kill)
        await process.open(30.0)
        assert await process.adopt([camera], 30.0) == {}
        broker = await open_broker(settings, name="hub-whole")
        ends.push_async_callback(broker.close)
        hub = Hub(
            HubContext(
                settings, stores, JwtVerifier(auth), Policy(), _Directory(process), "hub-whole"
            ),
            broker,
            instance="test",
        )
        await hub.start()
        ends.push_async_callback(hub.stop, 0.1)

        def token(sub: str, **claims: Any) -> str:
            return issue(auth, sub=sub, now_s=time.time(), sites=["*"], jti=sub, **claims)

        socket = await ends.enter_async_context(
            connect(f"ws://127.0.0.1:{hub.port}/connection/websocket", compression=None)
        )
        dash = Dash(socket)
        await dash.ask("connect", token=token("ada", typ="user", roles=["viewer"]))
        edge_token = token("box", typ="edge", roles=["edge"])
        device = EdgeClient(
            f"ws://127.0.0.1:{hub.port}/v1/edge", edge_token, backoff=Backoff(0.05, 0.5)
        )
        await ends.enter_async_context(device)
        way = Way(stores, camera, await device.open(camera))
        tasks = [asyncio.create_task(_send(way)), asyncio.create_task(_watch(way, dash, site))]
        try:
            yield way
            for task in tasks:
                assert not task.done(), task.exception()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _send(way: Way) -> None:
    while True:
        await way.sending.wait()
        seen = msgspec.json.decode(walk([way.sent + 1])[0], type=Observation)
        await way.stream.send(msgspec.structs.replace(seen, time=datetime.now(UTC)))
        way.sent += 1
        await asyncio.sleep(FRAME_S)


async def _watch(way: Way, dash: Dash, site: str) -> None:
    for channel in (f"camera:{way.camera}", f"site:{site}"):
        reply = (await dash.ask("subscribe", channel=channel))["subscribe"]
        for publication in reply.get("publications", []):
            way.take({"pub": publication})
    while True:
        for push in dash.pushes:
            way.take(push)
        dash.pushes.clear()
        await dash.receive()
