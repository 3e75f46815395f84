"""uvicorn as a hub runs it: our protocols, the limits it does not set by itself, and an order in which it stops (traps U1-U9)."""

import asyncio
import contextlib
import socket
from collections.abc import Generator, Sequence

import uvicorn
from starlette.types import ASGIApp

from actors.core.errors import StartError
from actors.core.settings import HubSettings
from hub.http_protocol import MAX_HEADER_BYTES, BoundedHttp
from hub.socket_protocol import Door, websocket_class

STOP_S = 5  # whole seconds that uvicorn waits for what is still running
START_S = 10.0


class _Server(uvicorn.Server):
    """Signals belong to whoever runs the process, not to uvicorn."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave them alone."""
        yield


class HubServer:
    """One uvicorn over given listening sockets, in the running loop."""

    def __init__(self, app: ASGIApp, door: Door, settings: HubSettings, *, http: type[asyncio.Protocol] = BoundedHttp) -> None:
        self._server = _Server(
            uvicorn.Config(
                app,
                http=http,
                ws=websocket_class(door),
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                ws_max_size=settings.max_message_bytes,
                ws_per_message_deflate=False,
                ws_ping_interval=None,
                ws_ping_timeout=None,
                h11_max_incomplete_event_size=MAX_HEADER_BYTES,
                timeout_keep_alive=5,
                timeout_graceful_shutdown=STOP_S,
                backlog=2048,
            )
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Serve; returns once connections are taken."""
        self._task = asyncio.create_task(self._server.serve(sockets=list(sockets)), name="uvicorn")
        try:
            async with asyncio.timeout(START_S):
                while not self._server.started and not self._task.done():
                    await asyncio.sleep(0.005)
        except TimeoutError as error:
            raise StartError("the web server did not start in time") from error
        if self._task.done():
            await self._task
            raise StartError("the web server ended at once")

    @property
    def connections(self) -> int:
        """Open connections of any kind."""
        return len(self._server.server_state.connections)

    def stop_listening(self, port: int) -> None:
        """Take no more connections on `port`: the system gives them to the hubs that share it. What is open stays."""
        for server in self._server.servers:
            if any(sock.getsockname()[1] == port for sock in server.sockets):
                server.close()

    async def stop(self) -> None:
        """Take no more, close what is idle, wait a bounded time for the rest."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
