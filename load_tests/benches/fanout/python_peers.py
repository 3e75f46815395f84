"""Peers of the fan-out bench in Python: python-socketio and Django Channels, both under uvicorn and
uvloop with what makes them fastest: websockets only, no compression, no pings, and the broadcast of
the library itself, in the process that holds the sockets."""

import asyncio
import importlib.util
import json
import socket
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from typing import Any

import uvicorn

from load_tests.benches.fanout.receiver import ReceiverPlan
from load_tests.benches.fanout.servers import BODY_BYTES, ReceiverProgress, drive, serve, stamped

PACKAGES = {"socketio": "socketio", "channels": "channels"}
HOUR_S = 3600
ROOM = "c"


def present(peer: str) -> bool:
    """Whether the peer's package is installed."""
    return importlib.util.find_spec(PACKAGES[peer]) is not None


def socketio(
    pipe: Connection, progress_path: str, clients: int, rounds: int, publications: int
) -> None:
    """python-socketio: `emit` to a room."""
    from socketio import ASGIApp, AsyncServer

    hub = AsyncServer(
        async_mode="asgi",
        transports=["websocket"],
        ping_interval=HOUR_S,
        ping_timeout=HOUR_S,
        http_compression=False,
    )

    async def connect(sid: str, environ: dict[str, Any]) -> None:
        del environ
        await hub.enter_room(sid, ROOM)

    hub.on("connect", connect)

    async def publish() -> None:
        await hub.emit("p", json.loads(stamped(BODY_BYTES)), room=ROOM)

    plan = ReceiverPlan(0, clients, "/socket.io/?EIO=4&transport=websocket", "40", b"40{")
    _serve(pipe, progress_path, plan, ASGIApp(hub), publish, rounds, publications)


def channels(
    pipe: Connection, progress_path: str, clients: int, rounds: int, publications: int
) -> None:
    """Django Channels: `group_send` through its layer in memory, which is faster than the one on
    Redis and serves one process alone."""
    from channels.generic.websocket import AsyncWebsocketConsumer
    from channels.layers import get_channel_layer
    from django.conf import settings

    layer = {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 1000}}
    settings.configure(CHANNEL_LAYERS={"default": layer}, DEBUG=False)

    class Viewer(AsyncWebsocketConsumer):  # type: ignore[misc]
        async def connect(self) -> None:
            await self.channel_layer.group_add(ROOM, self.channel_name)
            await self.accept()

        async def published(self, event: dict[str, str]) -> None:
            await self.send(text_data=event["text"])

        async def receive(
            self, text_data: str | None = None, bytes_data: bytes | None = None
        ) -> None:
            del text_data, bytes_data
            await self.send(text_data="ready")

    async def publish() -> None:
        await get_channel_layer().group_send(
            ROOM, {"type": "published", "text": stamped(BODY_BYTES).decode()}
        )

    _serve(
        pipe,
        progress_path,
        ReceiverPlan(0, clients, "/", "hello", b"ready"),
        Viewer.as_asgi(),
        publish,
        rounds,
        publications,
    )


def _serve(
    pipe: Connection,
    progress_path: str,
    plan: ReceiverPlan,
    app: Any,
    send: Callable[[], Awaitable[None]],
    rounds: int,
    publications: int,
) -> None:
    async def main() -> None:
        progress = ReceiverProgress(progress_path)
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="critical",
            ws_per_message_deflate=False,
            ws_ping_interval=None,
            lifespan="off",
        )
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        size = 0

        async def publish() -> int:
            nonlocal size
            await send()
            if not size:
                size = await progress.settled() // plan.clients
            progress.sent += size * plan.clients
            return size

        here = ReceiverPlan(
            listener.getsockname()[1], plan.clients, plan.path, plan.hello, plan.answer
        )
        await drive(pipe, here, progress, publish, plan.clients, rounds, publications)
        server.should_exit = server.force_exit = True
        await serving

    serve(main)
