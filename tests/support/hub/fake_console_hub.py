"""A small hub for the console alone: it serves the built files under the hub's content policy and
speaks Centrifuge JSON to the page.

It exists to test the console's own duties (what it draws, that it never is stale in silence) with
input that a real camera gives rarely. The whole stack is tested by `tests/acceptance`.
"""

import asyncio
import json
import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from hub.web.answer_headers import content_policy

STATIC = Path(__file__).resolve().parents[3] / "hub" / "static"
TOKEN = "a-good-token"
HOSTILE = "<img src=x onerror=\"document.title='taken'\"><b>bold</b>"
NAMES = {"cam-1": "North gate", "cam-2": "Ramp"}
SCENE = {
    "zones": {
        "entrance": {"points": [[0.05, 0.55], [0.35, 0.5], [0.4, 0.95], [0.05, 0.95]]},
        "parking": {"points": [[0.55, 0.45], [0.95, 0.45], [0.95, 0.8], [0.6, 0.85]]},
    },
    "lines": {"gate": {"points": [[0.45, 0.95], [0.5, 0.35]], "name_in": "in", "name_out": "out"}},
}


def stamp(ago_s: float = 0.0) -> str:
    """RFC 3339 with microseconds."""
    return (
        (datetime.now(UTC) - timedelta(seconds=ago_s))
        .isoformat(timespec="microseconds")
        .replace("+00:00", "Z")
    )


class FakeConsoleHub:
    """Eight cameras that move. `statuses` overrides what a camera says of itself; `mute` stops all
    news."""

    def __init__(self) -> None:
        self.cameras = [f"cam-{number}" for number in range(1, 9)]
        self.statuses: dict[str, tuple[str, str | None]] = {}
        self.tick = 0
        self.refusing = False
        self.mute = False
        self.silent_since = stamp(42)
        self.port = 0
        self._sockets: dict[WebSocket, dict[str, None]] = {}
        self._events: dict[str, list[dict[str, Any]]] = {camera: [] for camera in self.cameras}
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        """Where the console is."""
        return f"http://127.0.0.1:{self.port}/"

    def drop_all(self) -> None:
        """Close every socket and take no new one until `refusing` is false again."""
        self.refusing = True
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(self._close_all(), self._loop).result(5)

    def app(self) -> Starlette:
        """The web application."""

        async def index(request: Request) -> Response:
            headers = {"content-security-policy": content_policy([self.url.rstrip("/")])}
            return Response(
                (STATIC / "index.html").read_bytes(), media_type="text/html", headers=headers
            )

        files = Mount("/", StaticFiles(directory=STATIC))
        return Starlette(
            routes=[Route("/", index), WebSocketRoute("/connection/websocket", self._serve), files]
        )

    async def run(self, server: uvicorn.Server, listener: socket.socket) -> None:
        """Serve and tick until the server is told to exit."""
        self._loop = asyncio.get_running_loop()
        ticker = asyncio.create_task(self._tick_on())
        try:
            await server.serve(sockets=[listener])
        finally:
            ticker.cancel()

    async def _close_all(self) -> None:
        for ws in list(self._sockets):
            await ws.close(3001, "shutdown")

    async def _serve(self, ws: WebSocket) -> None:
        if self.refusing:
            await ws.close()
            return
        await ws.accept()
        self._sockets[ws] = {}
        try:
            while True:
                for line in (await ws.receive_text()).splitlines():
                    await self._answer(ws, json.loads(line))
        except (WebSocketDisconnect, RuntimeError):  # RuntimeError: closed by ourselves meanwhile
            pass
        finally:
            del self._sockets[ws]

    async def _answer(self, ws: WebSocket, command: dict[str, Any]) -> None:
        if "connect" in command:
            if command["connect"].get("token") != TOKEN:
                await ws.close(3500, "invalid token")
                return
            await self._send(
                ws,
                {
                    "id": command["id"],
                    "connect": {"client": "c", "version": "fake", "ping": 25, "pong": True},
                },
            )
        elif "subscribe" in command:
            channel = command["subscribe"]["channel"]
            reply: dict[str, Any] = {
                "recoverable": True,
                "positioned": True,
                "epoch": "1",
                "offset": self.tick,
            }
            if channel.startswith("camera:"):
                reply |= {
                    "data": {
                        "name": NAMES.get(channel[7:], ""),
                        "scene": SCENE,
                        "scene_version": 1,
                    },
                    "publications": [{"data": self._state(channel[7:]), "offset": self.tick}],
                }
            if channel == "fleet":
                reply |= {
                    "data": {"names": NAMES},
                    "publications": [{"data": self._wall(full=True), "offset": self.tick}],
                }
            await self._send(ws, {"id": command["id"], "subscribe": reply})
            self._sockets[ws][channel] = None
        elif "unsubscribe" in command:
            self._sockets[ws].pop(command["unsubscribe"]["channel"], None)
            await self._send(ws, {"id": command["id"], "unsubscribe": {}})
        elif "history" in command:
            events = self._events[command["history"]["channel"].removeprefix("events:camera:")]
            newest = [
                {"data": event, "offset": event["offset"]}
                for event in reversed(events[-command["history"]["limit"] :])
            ]
            await self._send(
                ws,
                {
                    "id": command["id"],
                    "history": {"publications": newest, "epoch": "1", "offset": len(events)},
                },
            )

    async def _send(self, ws: WebSocket, reply: dict[str, Any]) -> None:
        await ws.send_text(json.dumps(reply))

    async def _tick_on(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            if self.mute:
                continue
            self.tick += 1
            news = [
                self._event(camera)
                for index, camera in enumerate(self.cameras)
                if (self.tick + 7 * index) % 20 == 0
            ]
            for ws, channels in list(self._sockets.items()):
                for channel in list(channels):
                    for data in self._due(channel, news):
                        await self._send(
                            ws,
                            {
                                "push": {
                                    "channel": channel,
                                    "pub": {"data": data, "offset": data.get("offset", self.tick)},
                                }
                            },
                        )

    def _due(self, channel: str, news: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        if channel == "fleet" and self.tick % 3 == 0:
            yield self._wall(full=False)
        elif channel.startswith("camera:"):
            yield self._state(channel[7:])
        elif channel.startswith("events:camera:"):
            yield from (event for event in news if event["camera"] == channel[14:])

    def _wall(self, *, full: bool) -> dict[str, Any]:
        cameras = [
            {key: value for key, value in self._state(camera).items() if key != "tracks"}
            for camera in self.cameras
        ]
        return {"tick": self.tick, "full": full, "cameras": cameras}

    def _state(self, camera: str) -> dict[str, Any]:
        index = self.cameras.index(camera)
        status, reason = self.statuses.get(camera, ("online", None))
        tracks = self._tracks(index) if status == "online" else []
        labels = [track["label"] for track in tracks]
        events = self._events[camera]
        received = stamp(0.1) if status == "online" else self.silent_since
        return {
            "camera": camera,
            "site": "garage" if index < 5 else "yard",
            "generation": 1,
            "version": self.tick,
            "offset": len(events),
            "status": status,
            "reason": reason,
            "time": stamp(0.2),
            "received": received,
            "fps": 9.8,
            "objects": {label: labels.count(label) for label in set(labels)},
            "occupancy": {
                "entrance": {"person": (self.tick // 10 + index) % 3},
                "parking": {"car": 1},
            },
            "counts": {
                "gate": {"in": self.tick // 20, "out": self.tick // 35, "since": stamp(3600)}
            },
            "severity": "info",
            "last_event": events[-1] if events else None,
            "health": {},
            "tracks": tracks,
        }

    def _tracks(self, index: int) -> list[dict[str, Any]]:
        tracks = []
        for number in range(2 + index % 3):
            phase = self.tick * 0.02 * (1 + number / 3) + number + index
            x, y = 0.5 + 0.38 * math.sin(phase), 0.6 + 0.22 * math.cos(phase * 0.7)
            person = number % 2 == 0
            wide, high = (0.05, 0.2) if person else (0.16, 0.13)
            label = HOSTILE if index == 7 and number == 1 else "person" if person else "car"
            box = [x - wide / 2, y - high, x + wide / 2, y]
            zones = ["entrance"] if x < 0.35 else []
            tracks.append(
                {
                    "id": f"{index}{number}",
                    "label": label,
                    "score": 0.91 - number / 20,
                    "box": box,
                    "current_zones": zones,
                    "stationary": not person and number == 3,
                }
            )
        return tracks

    def _event(self, camera: str) -> dict[str, Any]:
        events = self._events[camera]
        offset = len(events) + 1
        line = offset % 3 == 0
        label = HOSTILE if camera == "cam-8" and offset % 2 else "person"
        place = {"line": "gate"} if line else {"zone": "entrance"}
        event = {
            "id": f"{camera}/1/{offset}",
            "type": "line.crossed" if line else "zone.entered",
            "v": 1,
            "camera": camera,
            "epoch": "1",
            "offset": offset,
            "session": "s",
            "seq": offset,
            "time": stamp(),
            "received": stamp(),
            "severity": "notice" if line else "info",
            "track": "10",
            "label": label,
            "data": {"direction": "in"} if line else {},
            **place,
        }
        events.append(event)
        return event


@contextmanager
def running_hub() -> Iterator[FakeConsoleHub]:
    """The hub on a free loopback port, stopped again whatever happens."""
    hub = FakeConsoleHub()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        hub.port = listener.getsockname()[1]
        config = uvicorn.Config(
            hub.app(),
            log_level="warning",
            ws="websockets-sansio",
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        listener.listen(64)
        thread = threading.Thread(
            target=lambda: asyncio.run(hub.run(server, listener)),
            name="fake-console-hub",
            daemon=True,
        )
        thread.start()
        deadline = time.monotonic() + 10
        while not server.started:
            assert time.monotonic() < deadline, "the fake hub did not start within 10 s"
            assert thread.is_alive(), "the fake hub died at its start"
            thread.join(0.01)
        try:
            yield hub
        finally:
            server.should_exit = True
            thread.join(10)
