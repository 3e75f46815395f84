"""The edge client: one socket, many cameras, nothing lost in silence (design section 8).

    async with EdgeClient("ws://127.0.0.1:8000/v1/edge", token, spool=Path("spool")) as client:
        camera = await client.open("gate-1")
        await camera.send(Observation(time, [Object("person", (0.1, 0.2, 0.2, 0.6), id="7")]))
        await camera.drain()

It numbers, stays within the credits, resends from where the hub asks, forgets what is acked, sheds
what does not fit and declares it, answers pings, and comes back with full jitter after every loss
but the terminal ones. It imports no Ray and no server.
"""

import asyncio
import contextlib
import logging
import random
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from actors.core.backoff import Backoff
from actors.core.errors import BadInput, Conflict, EyrieError, Unavailable
from actors.core.identifiers import require_id
from actors.core.messages.edge_protocol import HEARTBEAT_S, MAX_MESSAGE_BYTES, Bye, Ping, Pong
from edge import messages
from edge.reconnect import terminal_close, terminal_status
from edge.sessions import open_sessions
from edge.spool_folder import CameraFolder
from edge.stream import OnFull, Stream
from edge.window import Account

CAPACITY_BYTES = 16 * 1024 * 1024  # payload held per session of a camera
LINGER_S = 0.02  # live observations wait this long for company; alarms do not
MAX_GREETING = 64  # hellos under way at once: every one may start an actor
GREET_S = 0.25  # seconds between looks at streams that are not open
SYNC_S = 1.0  # seconds between fsyncs of the spools
SILENT_HEARTBEATS = 2.5  # heartbeats without a sign of the hub before the socket is given up
OPEN_TIMEOUT_S = 10.0  # seconds for one connection attempt
BYE_TIMEOUT_S = 10.0  # seconds for the hub to close after our bye

log = logging.getLogger("eyrie.edge")


class EdgeClient:
    """One socket to a hub. `token`: the edge token, or a function that makes a fresh one (asked at
    every connection, and when one that was good ran out).

    `spool` is the folder of the disk spools; None keeps everything in memory. `give_up_s`: without
    any connection for that long, every stream fails with :class:`Unavailable`; None tries for ever,
    as a device must. `tls`: whom to trust with a ``wss://`` address, and the device's certificate;
    None trusts what the system does.
    """

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str] | None = None,
        *,
        spool: Path | None = None,
        form: messages.Format = "msgpack",
        producer: str | None = None,
        capacity: int = CAPACITY_BYTES,
        on_full: OnFull = "shed",
        heartbeat_s: float = HEARTBEAT_S,
        give_up_s: float | None = None,
        backoff: Backoff | None = None,
        proxy: str | None = None,
        chance: Callable[[], float] = random.random,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.url = url
        self.connections = 0  # how often the socket was opened
        self._token = token
        self._root = spool
        self._form = form
        self._producer = producer
        self._capacity = capacity
        self._on_full: OnFull = on_full
        self._heartbeat_s = heartbeat_s
        self._give_up_s = give_up_s
        self._backoff = backoff or Backoff()
        self._proxy = proxy
        self._tls = tls
        self._chance = chance
        self._streams: dict[str, Stream] = {}
        self._folders: list[CameraFolder] = []
        self._wanted = asyncio.Event()
        self._hurry = asyncio.Event()
        self._heard = 0.0
        self._refusals: set[int] = set()  # codes of this socket's byes to single cameras
        self._leaving = False
        self._error: EyrieError | None = None
        self._task: asyncio.Task[None] | None = None
        self._syncing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "EdgeClient":
        self._task = asyncio.create_task(self._run(), name="edge-client")
        self._task.add_done_callback(self._ended)
        if self._root is not None:  # whether a hub is there or not
            self._syncing = asyncio.create_task(self._sync(), name="edge-sync")
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def open(
        self,
        camera: str,
        *,
        session: str | None = None,
        frame_size: tuple[int, int] | None = None,
        numbered_elsewhere: bool = False,
    ) -> Stream:
        """The stream of a camera. Without a `session` the one in the spool goes on, or a fresh
        random one begins.

        `numbered_elsewhere`: the source numbers the same way every time (a replay), so what the hub
        has already is skipped. Raises :class:`InvalidId`, :class:`Conflict` when the camera is open
        already, ConfigError for a spool that cannot be used.
        """
        require_id(camera, "camera")
        if camera in self._streams:
            raise Conflict(
                f"camera {camera} is open already", hint="Use the stream that `open` returned."
            )
        folder = None if self._root is None else CameraFolder(self._root, camera)
        if folder is not None:
            self._folders.append(folder)
        sessions, fresh = open_sessions(folder, session, self._capacity)
        stream = Stream(
            camera,
            sessions,
            wake=self._wake,
            on_full=self._on_full,
            numbered_elsewhere=numbered_elsewhere,
            fresh=fresh if session is None else None,
            chance=self._chance,
            producer=self._producer,
            frame_size=frame_size,
            renew=self._token if callable(self._token) else None,
        )
        if self._error is not None:
            stream.fail(self._error)
        self._streams[camera] = stream
        self._wake(False)
        return stream

    @property
    def account(self) -> Account:
        """The counts of all streams."""
        total = Account()
        for stream in self._streams.values():
            total.add(stream.account)
        return total

    async def drain(self, timeout_s: float | None = None) -> None:
        """Return when all taken is durable. Raises the first terminal error, or TimeoutError."""
        async with asyncio.timeout(timeout_s):
            for stream in list(self._streams.values()):
                await stream.drain()

    async def close(self) -> None:
        """Say bye for every camera, wait for the hub to close (at most `BYE_TIMEOUT_S`), and close
        the spools. What is not acked stays."""
        self._leaving = True
        self._wake(True)
        if self._syncing is not None:
            self._syncing.cancel()
        if self._task is not None:
            try:
                await asyncio.wait_for(asyncio.shield(self._task), BYE_TIMEOUT_S)
            except TimeoutError:
                self._task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._task
            self._task = None
        for stream in self._streams.values():
            stream.close()
        for folder in self._folders:
            folder.close()

    def _wake(self, urgent: bool) -> None:
        self._wanted.set()
        if urgent:
            self._hurry.set()

    # the connection

    async def _run(self) -> None:
        last_open = time.monotonic()
        while True:
            last_open = await self._someone(last_open)
            if self._leaving:
                return
            error: EyrieError | None = None
            try:
                async with self._connect() as socket:
                    self.connections += 1
                    log.info("connected to %s", self.url)
                    error = await self._converse(socket)
                last_open = time.monotonic()
            except InvalidStatus as refused:
                text = (refused.response.body or b"").decode("utf-8", "replace")[:200].strip()
                error = terminal_status(refused.response.status_code, text)
                log.warning(
                    "%s answered %d to the handshake", self.url, refused.response.status_code
                )
            except (InvalidURI, ValueError) as invalid:
                error = BadInput(f"{self.url} is no websocket address: {invalid}")
            except (OSError, InvalidHandshake, ConnectionClosed, TimeoutError, EOFError) as away:
                log.info("no connection to %s: %s", self.url, away)
            except EyrieError as own:
                error = own
            for stream in self._streams.values():
                stream.disconnected()
            if (
                error is None
                and self._give_up_s is not None
                and time.monotonic() - last_open > self._give_up_s
            ):
                error = Unavailable(
                    f"no connection to {self.url} for {self._give_up_s:g} s",
                    hint="Is it running? `eyrie status` tells.",
                )
            if error is not None:
                self._fail(error)
                return
            if not self._leaving:
                await self._pause(self._backoff.wait_s(self._chance()))

    async def _someone(self, last_open: float) -> float:
        """Wait for a stream that wants a socket: a hub closes one that says nothing. When the
        socket was last open, or not wanted."""
        while not self._leaving and all(stream.error for stream in self._streams.values()):
            self._wanted.clear()
            await self._wanted.wait()
            last_open = time.monotonic()
        return last_open

    def _connect(self) -> connect:
        token = self._token() if callable(self._token) else self._token
        return connect(
            self.url,
            subprotocols=[messages.SUBPROTOCOLS[self._form]],  # type: ignore[list-item]
            additional_headers={"Authorization": f"Bearer {token}"} if token else None,
            compression=None,
            proxy=self._proxy,
            open_timeout=OPEN_TIMEOUT_S,
            ping_interval=None,
            close_timeout=2.0,
            max_size=4 * MAX_MESSAGE_BYTES,
            ssl=self._tls,
        )

    async def _converse(self, socket: ClientConnection) -> EyrieError | None:
        """Send and receive until the socket ends; the terminal error, if it ended with one."""
        if socket.subprotocol != messages.SUBPROTOCOLS[self._form]:
            return BadInput(
                f"{self.url} does not speak {messages.SUBPROTOCOLS[self._form]}",
                hint="The address ends in /v1/edge.",
            )
        self._heard = time.monotonic()
        self._refusals.clear()
        workers = [
            asyncio.create_task(self._pump(socket)),
            asyncio.create_task(self._heartbeat(socket)),
        ]
        reader = asyncio.create_task(self._read(socket))
        try:
            await asyncio.wait([reader, *workers], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reader, *workers):
                task.cancel()
            ended = await asyncio.gather(reader, *workers, return_exceptions=True)
        for outcome in ended:
            if isinstance(outcome, EyrieError):
                return outcome
            if isinstance(outcome, Exception) and not isinstance(
                outcome, ConnectionClosed | OSError
            ):
                raise outcome
        await socket.close()
        code, reason = socket.close_code or 1006, socket.close_reason or ""
        log.info("connection to %s closed: %d %s", self.url, code, reason)
        others = any(stream.error is None for stream in self._streams.values())
        if others and code in self._refusals:
            return None  # the code was meant for one camera; the others try on a new socket
        return terminal_close(code, reason)

    async def _read(self, socket: ClientConnection) -> None:
        async for frame in socket:
            now = self._heard = time.monotonic()
            message = messages.decode(self._form, frame)
            if isinstance(message, Ping):
                await self._write(socket, messages.encode(self._form, Pong()))
            elif isinstance(message, Pong):
                continue
            elif message.camera is None:
                log.info("the hub says bye: %d %s", message.code, message.reason)
            else:
                if isinstance(message, Bye):
                    self._refusals.add(message.code)
                stream = self._streams.get(message.camera)
                if stream is not None:
                    stream.received(message, now)
                    if stream.open:
                        self._backoff.reset()

    async def _pump(self, socket: ClientConnection) -> None:
        while True:
            with contextlib.suppress(TimeoutError):  # a stream that is not open has a hello due
                await asyncio.wait_for(
                    self._wanted.wait(),
                    None if all(s.open or s.away for s in self._streams.values()) else GREET_S,
                )
            if not self._hurry.is_set() and not self._leaving:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._hurry.wait(), LINGER_S)
            self._wanted.clear()
            self._hurry.clear()
            while await self._round(socket):
                pass
            if self._leaving:
                await self._bye(socket)
                return

    async def _round(self, socket: ClientConnection) -> bool:
        """One frame of every camera that has one, those with an alarm first; whether there was
        any."""
        any_sent = False
        now = time.monotonic()
        greeting = sum(stream.greeting for stream in self._streams.values())
        for stream in sorted(self._streams.values(), key=lambda stream: not stream.urgent):
            if not (stream.open or stream.greeting or stream.away):
                if greeting >= MAX_GREETING:
                    continue
                greeting += 1
            frame = stream.outgoing(self._form, now, datetime.now(UTC))
            if frame is not None:
                any_sent = True
                await self._write(socket, frame)
        return any_sent

    async def _bye(self, socket: ClientConnection) -> None:
        for camera, stream in self._streams.items():
            if stream.open:
                await self._write(socket, messages.encode(self._form, Bye(1000, "done", camera)))
        await self._write(socket, messages.encode(self._form, Bye(1000, "done")))
        await socket.wait_closed()

    async def _write(self, socket: ClientConnection, frame: bytes) -> None:
        await socket.send(frame, text=self._form == "json")

    async def _heartbeat(self, socket: ClientConnection) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            silent = time.monotonic() - self._heard
            if silent >= SILENT_HEARTBEATS * self._heartbeat_s:
                log.warning("nothing heard from %s for %.0f s", self.url, silent)
                return
            await self._write(socket, messages.encode(self._form, Ping()))
            self._wake(False)

    async def _sync(self) -> None:
        while True:
            await asyncio.sleep(SYNC_S)
            for stream in list(self._streams.values()):
                try:
                    await asyncio.to_thread(stream.sync)
                except Unavailable as error:
                    log.error("%s", error.detail)

    async def _pause(self, seconds: float) -> None:
        """Wait before the next attempt, or until `close`."""
        deadline = time.monotonic() + seconds
        while not self._leaving and (left := deadline - time.monotonic()) > 0:
            self._hurry.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), left)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A mistake of ours must not leave anybody waiting; `close` raises it."""
        if not task.cancelled() and (mistake := task.exception()) is not None:
            self._fail(
                Unavailable(
                    f"the edge client failed: {mistake!r}",
                    hint="Report it; what is spooled is kept.",
                )
            )

    def _fail(self, error: EyrieError) -> None:
        self._error = error
        log.warning("%s: %s", self.url, error.detail)
        for stream in self._streams.values():
            stream.fail(error)
