"""The end of links in an actor process: it takes them on a Unix socket of its own, and on TLS for
other nodes.

One link per hub process: a newer one ends the older. The actor never waits for a hub: what a hub
does not read is held to a bound, then its link is cut, and it attaches anew.
"""

import asyncio
import logging
import os
import random
import secrets
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from actors.core.errors import Conflict, EyrieError, Forbidden, StartError, TooMany
from actors.links.frames import MAX_FRAME_BYTES, FrameReader, Kind, frame
from actors.links.greeting import NONCE_BYTES, UNIX, ActorGreeting, refusal
from actors.links.sockets import secure
from storage.embedded.data_dir import MAX_SOCKET_PATH, private_folder, start_time

LOG_AGAIN_S = 60.0  # seconds until the same refusal is logged again
MAX_LOGGED = 256  # refusals that are remembered for it

Send = Callable[[bytes], None]

log = logging.getLogger("eyrie.actors.links")


class LinkBounds(msgspec.Struct, frozen=True):
    """Of one process: so many hubs, so many connections that have proven nothing yet (`greet_s`
    seconds each), and so many bytes written to a hub and not read by it."""

    hubs: int = 1_024
    unproven: int = 64
    greet_s: float = 5.0
    behind_bytes: int = 4 * 1024 * 1024


BOUNDS = LinkBounds()


class Served(Protocol):
    """What stands behind the links of a process."""

    def linked(self, hub: str, send: Send) -> None:
        """Answers for `hub` go to `send` from now on: one call for each batch, encoded."""

    def unlinked(self, hub: str, send: Send) -> None:
        """That link is over."""

    def take(self, items: bytes) -> None:
        """Encoded items of a hub. Raises BadInput."""


class LinkServer:
    """Takes links to `served`, the actor `name`, of those who know `key`
    (:func:`actors.links.greeting.derive_key`)."""

    def __init__(
        self,
        served: Served,
        key: bytes,
        *,
        cluster: str,
        name: str,
        silent_s: float,
        bounds: LinkBounds = BOUNDS,
    ) -> None:
        self.served = served
        self.key = key
        self.cluster = cluster
        self.name = name
        self.silent_s = silent_s
        self.bounds = bounds
        self.refused = 0
        self.links: dict[str, ActorLink] = {}
        self.unproven: set[ActorLink] = set()
        self._servers: list[asyncio.AbstractServer] = []
        self._path: Path | None = None
        self._logged: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def listen_here(self, folder: Path) -> str:
        """Take links of this machine in `folder`, which is made (0700); the path of the socket.
        Raises StartError."""
        private_folder(folder)
        os.chmod(folder, 0o700)
        _tidy(folder)
        path = folder / f"{os.getpid()}-{start_time(os.getpid())}-{secrets.token_hex(2)}.sock"
        if len(os.fsencode(path)) > MAX_SOCKET_PATH + 10:
            raise StartError(
                f"the path {path} is too long for a socket",
                hint="Choose a shorter data directory with --data-dir.",
            )
        loop = asyncio.get_running_loop()
        self._servers.append(
            await loop.create_unix_server(lambda: ActorLink(self, UNIX), path=str(path))
        )
        os.chmod(path, 0o600)
        self._path = path
        return str(path)

    async def listen_beyond(
        self, host: str, ports: range, context: ssl.SSLContext, channel: bytes
    ) -> int:
        """Take links of other machines by TLS at `host`; the port, a free one of `ports`.
        `channel`: the certificate (DER). Raises StartError when none is free."""
        loop = asyncio.get_running_loop()
        first = random.randrange(len(ports))
        for turn in range(len(ports)):
            port = ports[(first + turn) % len(ports)]
            try:
                server = await loop.create_server(
                    lambda: ActorLink(self, channel), host, port, ssl=context
                )
            except OSError as error:
                failed = error
                continue
            self._servers.append(server)
            return port
        raise StartError(
            f"no port of {ports.start} to {ports.stop - 1} is free at {host} for links: {failed}",
            hint="Widen ray.link_port_min and ray.link_port_max.",
        )

    async def stop(self) -> None:
        """Take none any more; what is written to hubs still goes out."""
        for server in self._servers:
            server.close()
        for link in [*self.links.values(), *self.unproven]:
            link.end()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def enter(self, link: "ActorLink") -> None:
        """A connection came. Raises TooMany."""
        if len(self.unproven) >= self.bounds.unproven or len(self.links) >= self.bounds.hubs:
            raise TooMany("there are too many links to this process")
        self.unproven.add(link)

    def proven(self, link: "ActorLink", hub: str, number: int) -> None:
        """`link` is of `hub`: an older one of it ends, with what was not read of it. Raises
        Conflict for one that is not newer."""
        self.unproven.discard(link)
        older = self.links.get(hub)
        if older is not None:
            if number <= older.number:
                raise Conflict(f"{hub} has a newer link than number {number}")
            self.left(older)
            older.cut("its hub made a newer link")
        self.links[hub] = link
        self.served.linked(hub, link.send)

    def left(self, link: "ActorLink") -> None:
        """`link` is over."""
        self.unproven.discard(link)
        if link.hub and self.links.get(link.hub) is link:
            del self.links[link.hub]
            self.served.unlinked(link.hub, link.send)

    def refuse(self, peer: str, error: EyrieError) -> None:
        """Count a refusal, and log it once a minute for a peer and kind."""
        self.refused += 1
        now, key = time.monotonic(), (peer, error.code)
        if now - self._logged.get(key, -LOG_AGAIN_S) >= LOG_AGAIN_S:
            log.warning("%s refuses a link of %s: %s", self.name, peer, error.detail)
            self._logged[key] = now
            if len(self._logged) > MAX_LOGGED:
                self._logged.popitem(last=False)


class ActorLink(asyncio.Protocol):
    """One connection to an actor process."""

    def __init__(self, server: LinkServer, channel: bytes) -> None:
        self._server = server
        self._channel = channel
        self._reader = FrameReader()
        self._greeting: ActorGreeting | None = None
        self._transport: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._over = False
        self.peer = "this machine"
        self.hub = ""
        self.number = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        server = self._server
        if self._channel is not UNIX:
            self.peer = str((transport.get_extra_info("peername") or ("?",))[0])
        try:
            server.enter(self)
            secure(transport, server.silent_s)
        except EyrieError as error:
            self._refuse(error)
            return
        self._greeting = ActorGreeting(
            server.key,
            cluster=server.cluster,
            actor=server.name,
            nonce=secrets.token_bytes(NONCE_BYTES),
            channel=self._channel,
        )
        self._timer = asyncio.get_running_loop().call_later(
            server.bounds.greet_s,
            self._refuse,
            Forbidden(f"no proof came within {server.bounds.greet_s:g} s"),
        )

    def data_received(self, data: bytes) -> None:
        if self._over:  # a late frame of a link that has ended means nothing
            return
        try:
            for kind, payload in self._reader.feed(data):
                if self._greeting is not None:
                    self._greet(self._greeting, kind, payload)
                elif kind is Kind.ITEMS:
                    self._server.served.take(payload)
                elif kind is Kind.PING:
                    self._transport.write(frame(Kind.PONG))
                else:
                    raise Forbidden(f"a hub sends no frame of kind {kind.name}")
                if self._over:
                    return
        except EyrieError as error:
            self._refuse(error)

    def connection_lost(self, error: Exception | None) -> None:
        self._end_timer()
        self._over = True
        self._server.left(self)

    def send(self, answers: bytes) -> None:
        """Answers for this hub; one that does not read them is cut off."""
        if self._over:
            return
        self._transport.write(frame(Kind.ANSWERS, answers))
        if self._transport.get_write_buffer_size() > self._server.bounds.behind_bytes:
            log.warning(
                "%s cuts its link to %s, which does not read: more than %d bytes wait for it",
                self._server.name,
                self.hub,
                self._server.bounds.behind_bytes,
            )
            self._server.left(self)
            self.cut("it does not read")

    def end(self) -> None:
        """Close once what was written is out."""
        self._over = True
        self._transport.close()

    def cut(self, reason: str) -> None:
        """Close at once."""
        log.info("%s ends a link of %s: %s", self._server.name, self.hub or self.peer, reason)
        self._over = True
        self._transport.abort()

    def _greet(self, greeting: ActorGreeting, kind: Kind, payload: bytes) -> None:
        answer = greeting.receive(kind, payload)
        if greeting.done and greeting.hello is not None:
            self._end_timer()
            self._greeting = None
            self._reader.limit = MAX_FRAME_BYTES
            self.hub, self.number = greeting.hello.hub, greeting.hello.number
            self._server.proven(self, self.hub, self.number)
        self._transport.write(answer)

    def _refuse(self, error: EyrieError) -> None:
        """Say why and close; a peer that does not read even that is cut off."""
        self._end_timer()
        if self._over:
            return
        self._over = True
        self._server.refuse(self.hub or self.peer, error)
        self._server.left(self)
        self._transport.write(refusal(error))
        self._transport.close()
        asyncio.get_running_loop().call_later(1.0, self._transport.abort)

    def _end_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _tidy(folder: Path) -> None:
    """Remove the sockets of processes that were killed: their names say which."""
    for path in folder.glob("*.sock"):
        pid, _, rest = path.name.partition("-")
        if pid.isdigit() and str(start_time(int(pid))) != rest.partition("-")[0]:
            path.unlink(missing_ok=True)
