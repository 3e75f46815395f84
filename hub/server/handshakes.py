"""A listening socket that speaks TLS: each handshake has a deadline, and one address has no more of
those that last than `hub.server.waiting_connections` lets it.

`loop.create_server` begins a handshake before anybody can see whose it is, so connections are
accepted here.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable

from actors.core.task_set import TaskSet
from hub.server.waiting_connections import PATIENCE_S, WaitingConnections

AT_ONCE = 64  # connections accepted in one turn of the loop
# nothing is accepted for so long after the system has refused to, as when descriptors are short
REST_S = 1.0

log = logging.getLogger(__name__)


class TlsListener:
    """One listening socket, in the shape of an `asyncio.Server` as far as uvicorn and a hub use it.
    `made` makes the protocol of a connection that has had its handshake."""

    def __init__(
        self,
        sock: socket.socket,
        tls: ssl.SSLContext,
        waiting: WaitingConnections,
        made: Callable[[], asyncio.Protocol],
        *,
        handshake_s: float,
        shutdown_s: float,
        backlog: int,
    ) -> None:
        """Listen. To be made in the running loop."""
        self.sockets: tuple[socket.socket, ...] = (sock,)
        self._tls = tls
        self._waiting = waiting
        self._made = made
        self._handshake_s = handshake_s
        self._shutdown_s = shutdown_s
        self._tasks = TaskSet(log)
        sock.setblocking(False)
        sock.listen(backlog)
        self._accepting = self._tasks.spawn(self._accept(sock), "TLS listener")

    def close(self) -> None:
        """Take no more connections. What is open stays, and so do handshakes under way, until
        :meth:`wait_closed`."""
        self._accepting.cancel()
        for sock in self.sockets:
            sock.close()
        self.sockets = ()

    async def wait_closed(self) -> None:
        """End the handshakes under way."""
        await self._tasks.close()

    async def _accept(self, sock: socket.socket) -> None:
        loop, accepted = asyncio.get_running_loop(), 0
        while True:
            try:
                connection, peer = await loop.sock_accept(sock)
            except ConnectionAbortedError:
                continue  # gone before its turn came
            except OSError as error:
                log.error("connections cannot be accepted now: %s", error)
                await asyncio.sleep(REST_S)
                continue
            self._tasks.spawn(self._shake(connection, str(peer[0])), "TLS handshake")
            accepted += 1
            if accepted % AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _shake(self, connection: socket.socket, address: str) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        counted = False

        def late() -> None:
            nonlocal counted
            counted = self._waiting.enter(address)
            if not counted and task is not None:
                task.cancel()

        timer = loop.call_later(PATIENCE_S, late)
        try:
            await loop.connect_accepted_socket(
                self._made,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=self._handshake_s,
                ssl_shutdown_timeout=self._shutdown_s,
            )
        except OSError as error:
            log.debug("the handshake of %s has failed: %s", address, error)
        finally:
            timer.cancel()
            if counted:
                self._waiting.leave(address)
