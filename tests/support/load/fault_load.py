"""Load with a known truth for the fault tests: seeded recordings streamed by edge clients,
everything recorded for the checker."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from actors.core.backoff import Backoff
from actors.core.messages.observations import Observation
from edge import messages
from edge.client import EdgeClient
from edge.simulate.world import SimulatedCamera
from edge.stream import Stream
from load_tests.harness.history import (
    Acknowledged,
    Operation,
    Sent,
    ShownEvent,
    ShownState,
    ToldGap,
    WatcherPosition,
)
from storage.ports.registry import Registry
from tests.support.hub.hub import Dash

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
PACE_S = 0.02  # seconds between two frames of a camera
EMPTY_AFTER = 3_000  # frames within which a simulated world that lets nobody in is empty


class Camera:
    """A simulated camera, its stream, and how far it has come."""

    def __init__(self, name: str, seed: int, index: int) -> None:
        self.name = name
        self.world = SimulatedCamera(seed, index)
        self.stream: Stream | None = None
        self.session = ""
        self.acked = 0
        self.sent = 0


class Load:
    """Streams `cameras` until :meth:`finish`. `history` is what the checker takes."""

    def __init__(
        self, url: str, token: str, cameras: Iterable[str], *, seed: int, spool: Path | None = None
    ) -> None:
        self.history: list[Operation] = []
        self.cameras = {name: Camera(name, seed, index) for index, name in enumerate(cameras)}
        self.client = EdgeClient(
            url, token, spool=spool, on_full="wait", backoff=Backoff(base_s=0.05, cap_s=0.5)
        )
        self._last = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def register(self, registry: Registry, site: str) -> None:
        """Register the cameras with the scenes of their worlds."""
        for camera in self.cameras.values():
            await registry.register(
                camera.name, site, scene=msgspec.json.encode(camera.world.scene)
            )

    @property
    def acked(self) -> int:
        """Observations acked, of all cameras."""
        return sum(camera.acked for camera in self.cameras.values())

    async def begin(self) -> None:
        """Open the streams and go."""
        await self.client.__aenter__()
        for camera in self.cameras.values():
            camera.stream = await self.client.open(camera.name)
            camera.session = camera.stream.session
            self._tasks += [
                asyncio.create_task(self._send(camera)),
                asyncio.create_task(self._listen(camera)),
            ]

    async def more(self, count: int, within_s: float = 60.0) -> None:
        """Wait until `count` more observations of every camera are acked."""
        goals = {name: camera.acked + count for name, camera in self.cameras.items()}
        async with asyncio.timeout(within_s):
            while any(self.cameras[name].acked < goal for name, goal in goals.items()):
                for task in self._tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.02)

    async def finish(self, within_s: float = 120.0) -> None:
        """Let every world become empty, so that its truth is final, and everything be acked."""
        self._last.set()
        async with asyncio.timeout(within_s):
            await asyncio.gather(*self._tasks[::2])
            await self.client.drain()
            while any(camera.acked < camera.sent for camera in self.cameras.values()):
                await asyncio.sleep(0.02)

    async def end(self) -> None:
        """Close everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.client.close()

    async def _send(self, camera: Camera) -> None:
        assert camera.stream is not None
        quiet = 0
        while quiet < 30:  # a few frames without anybody: whoever left is seen to be gone
            if self._last.is_set():
                camera.world.stop_arrivals()
                quiet = quiet + 1 if camera.world.empty else 0
                if camera.sent > EMPTY_AFTER * 4:
                    raise AssertionError(f"the world of {camera.name} does not become empty")
            frame = camera.world.step()
            observation = Observation(
                START + timedelta(seconds=frame.second), frame.objects, frame.alarm
            )
            camera.sent += 1
            self.history.append(
                Sent(camera.name, camera.session, camera.sent, messages.encode_body(observation)[0])
            )
            assert await camera.stream.send(observation) == camera.sent
            await asyncio.sleep(0 if self._last.is_set() and camera.sent % 8 else PACE_S)

    async def _listen(self, camera: Camera) -> None:
        stream = camera.stream
        assert stream is not None
        while True:
            acked = stream._sessions[0].window.acked
            if acked > camera.acked:
                camera.acked = acked
                self.history.append(Acknowledged(camera.name, camera.session, acked, time.time()))
            if stream.error is not None:
                raise stream.error
            await stream.changed()


@asynccontextmanager
async def watching(
    url: str, token: str, cameras: Iterable[str], history: list[Operation]
) -> AsyncIterator[None]:
    """A dashboard that watches events and states of `cameras` and recovers as a stock client does;
    recorded in `history`."""
    task = asyncio.create_task(_watch(url, token, list(cameras), history))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _watch(url: str, token: str, cameras: list[str], history: list[Operation]) -> None:
    position: dict[str, tuple[str, int]] = {}
    while True:
        with suppress(ConnectionClosed, OSError, TimeoutError):
            async with connect(url, compression=None, proxy=None, max_size=2**24) as socket:
                dash = Dash(socket)
                await dash.ask("connect", token=token)
                for camera in cameras:
                    await _subscribe_events(dash, camera, position, history)
                    _state(
                        history,
                        camera,
                        (await dash.ask("subscribe", channel=f"camera:{camera}"))["subscribe"].get(
                            "publications"
                        ),
                    )
                while True:
                    await _push(dash, await dash.push(within_s=60.0), position, history)
        await asyncio.sleep(0.1)


async def _push(
    dash: Dash, push: dict[str, Any], position: dict[str, tuple[str, int]], history: list[Operation]
) -> None:
    kind, _, camera = push["channel"].rpartition(":")
    if "unsubscribe" in push:
        if kind.startswith("events"):
            await _subscribe_events(dash, camera, position, history)
        else:
            await dash.ask("subscribe", channel=push["channel"])
    elif "pub" in push and kind.startswith("events"):
        _event(history, camera, push["pub"], position)
    elif "pub" in push:
        _state(history, camera, [push["pub"]])


async def _subscribe_events(
    dash: Dash, camera: str, position: dict[str, tuple[str, int]], history: list[Operation]
) -> None:
    asked: dict[str, Any] = {"channel": f"events:camera:{camera}"}
    if camera in position:
        asked |= {"recover": True, "epoch": position[camera][0], "offset": position[camera][1]}
    reply = (await dash.ask("subscribe", **asked))["subscribe"]
    if camera in position and reply.get("recovered"):
        for publication in reply.get("publications", ()):
            _event(history, camera, publication, position)
        return
    epoch, offset = reply["epoch"], reply.get("offset", 0)
    if camera in position:
        history.append(ToldGap("dash", camera, offset))
    history.append(WatcherPosition("dash", camera, epoch, offset))
    position[camera] = (epoch, offset)


def _event(
    history: list[Operation],
    camera: str,
    publication: dict[str, Any],
    position: dict[str, tuple[str, int]],
) -> None:
    event = publication["data"]
    history.append(
        ShownEvent("dash", camera, event["epoch"], event["offset"], event["type"], event["time"])
    )
    position[camera] = (event["epoch"], event["offset"])


def _state(
    history: list[Operation], camera: str, publications: list[dict[str, Any]] | None
) -> None:
    for publication in publications or ():
        state = publication["data"]
        history.append(
            ShownState(
                "dash", camera, state["generation"], state["offset"], state["status"], time.time()
            )
        )
