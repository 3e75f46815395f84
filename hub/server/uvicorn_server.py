"""uvicorn as a hub runs it: our protocols, the limits it does not set by itself, and an order in
which it stops (traps U1-U9)."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Generator, Sequence
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from actors.core.errors import StartError
from actors.core.settings import HubSettings
from hub.access import client_address
from hub.access.host_names import Hosts
from hub.server.handshakes import TlsListener
from hub.server.http_protocol import BoundedHttp, http_class
from hub.server.waiting_connections import WaitingConnections
from hub.server.websocket_protocol import SocketAdmission, websocket_class
from hub.web.answer_headers import AnswerHeaders
from hub.web.security_headers import MAX_HEADER_BYTES

STOP_S = 5  # whole seconds that uvicorn waits for what is still running
START_S = 10.0
IDLE_S = 5  # whole seconds that a connection may wait for its next request
HANDSHAKE_S = 10.0  # seconds a client may take for its TLS handshake


class _Server(uvicorn.Server):
    """Signals belong to whoever runs the process, not to uvicorn. With `tls` the first socket
    speaks it, the others never."""

    tls: ssl.SSLContext | None = None
    waiting: WaitingConnections | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. uvicorn has one TLS context for all sockets, and no deadline nor bound of its own
        for handshakes."""
        if self.tls is None or self.waiting is None or sockets is None:
            await super().startup(sockets)
            return
        await super().startup(sockets[1:])

        def protocol() -> asyncio.Protocol:
            http: Any = self.config.http_protocol_class
            made: asyncio.Protocol = http(
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return made

        listener: Any = TlsListener(
            sockets[0],
            self.tls,
            self.waiting,
            protocol,
            handshake_s=HANDSHAKE_S,
            shutdown_s=STOP_S,
            backlog=self.config.backlog,
        )
        self.servers.append(listener)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave them alone."""
        yield


class HubServer:
    """One uvicorn over given listening sockets, in the running loop."""

    def __init__(
        self,
        app: ASGIApp,
        admission: SocketAdmission,
        settings: HubSettings,
        *,
        headers: AnswerHeaders,
        hosts: Hosts,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`headers` are those of every answer, `hosts` the names that this server goes by."""
        proxies = client_address.networks(settings.trusted_proxies)
        waiting, idle = (
            WaitingConnections(settings.max_waiting_per_address, proxies) for _ in range(2)
        )
        self._server = _Server(
            uvicorn.Config(
                app,
                http=http_class(BoundedHttp, headers, hosts, waiting, idle),
                ws=websocket_class(admission, headers, proxies),
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
                timeout_keep_alive=IDLE_S,
                timeout_graceful_shutdown=STOP_S,
                backlog=2048,
            )
        )
        self._server.tls, self._server.waiting = tls, waiting
        self._task: asyncio.Task[None] | None = None

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Serve; returns once connections are taken. With TLS the first of `sockets` speaks it, and
        no other."""
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
        """Take no more connections on `port`: the system gives them to the hubs that share it. What
        is open stays."""
        for server in self._server.servers:
            if any(sock.getsockname()[1] == port for sock in server.sockets):
                server.close()

    async def stop(self) -> None:
        """Take no more, close what is idle, wait a bounded time for the rest."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
