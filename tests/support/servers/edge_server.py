"""A hub's edge socket with failure switches: a real websocket server that speaks ``/v1/edge`` and
applies in order, in memory."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from actors.core.messages.edge_protocol import (
    SUBPROTOCOL_JSON,
    SUBPROTOCOL_MSGPACK,
    Ack,
    Bye,
    FromEdge,
    Gap,
    Hello,
    ObserveRaw,
    Ping,
    Pong,
    Reject,
    Resync,
    ToEdge,
    Welcome,
)


@dataclass
class Seen:
    """What one session of a camera delivered: `applied` seq → body, `gaps`, in the order of
    application."""

    applied: dict[int, bytes] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    last_seq: int = 0
    limit: int = 0
    byes: int = 0


@dataclass
class Switches:
    """What goes wrong. Each is used up or stays as its comment says."""

    cut_after_bytes: int | None = None  # once: cut the connection after so many bytes from the edge
    drop_acks: int = 0  # so many acks are not sent
    hold_acks: bool = False  # no acks while set; `EdgeServer.release` sends them
    lose_frames: int = 0  # so many observe frames are thrown away, so that a hole is seen
    status: int | None = None  # the handshake is answered with this
    refuse: dict[str, tuple[int, str]] = field(
        default_factory=dict
    )  # camera → bye (code, reason) in answer to hello, until removed
    close_code: int | None = None  # once: close right after the handshake
    silent: bool = False  # neither reads nor answers anything after the handshake
    poison: set[int] = field(default_factory=set)  # seqs answered with reject


class EdgeServer:
    """Started with :meth:`start`; `url` is where it listens. `violations` lists what an edge must
    not do."""

    def __init__(self, *, credits: int = 64, heartbeat_s: float = 4.0) -> None:
        self.credits = credits
        self.heartbeat_s = heartbeat_s
        self.switches = Switches()
        self.seen: dict[tuple[str, str], Seen] = {}
        self.hellos: list[Hello] = []
        self.pings = 0
        self.headers: list[str | None] = []
        self.violations: list[str] = []
        self.connections = 0
        self._server: Server | None = None
        self._held: list[tuple[ServerConnection, str, Ack]] = []

    async def __aenter__(self) -> "EdgeServer":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> None:
        """Listen on loopback."""
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            port,
            subprotocols=[SUBPROTOCOL_MSGPACK, SUBPROTOCOL_JSON],  # type: ignore[list-item]
            compression=None,
            ping_interval=None,
            process_request=self._greet,
            close_timeout=0.5,
        )

    async def stop(self) -> None:
        """Stop listening and close what is open."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(next(iter(self._server.sockets)).getsockname()[1])

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/edge"

    def of(self, camera: str) -> Seen:
        """What the newest session of a camera delivered."""
        return [seen for (name, _), seen in self.seen.items() if name == camera][-1]

    async def release(self) -> None:
        """Send the acks held back, the newest of each camera."""
        self.switches.hold_acks = False
        newest = {(id(socket), ack.camera): (socket, form, ack) for socket, form, ack in self._held}
        self._held.clear()
        for socket, form, ack in newest.values():
            await self._say(socket, form, ack)

    async def dismiss(self, camera: str, code: int, reason: str) -> None:
        """Say bye to a camera on every open socket."""
        assert self._server is not None
        for socket in self._server.connections:
            await self._say(socket, socket.subprotocol or "", Bye(code, reason, camera))

    def restore(self, camera: str, last_seq: int) -> None:
        """The store is an older one: the newest session of `camera` is known up to `last_seq`
        only."""
        seen = self.of(camera)
        seen.last_seq, seen.limit = last_seq, 0
        seen.applied = {seq: body for seq, body in seen.applied.items() if seq <= last_seq}

    def drop_everyone(self) -> None:
        """Cut every connection."""
        assert self._server is not None
        for socket in list(self._server.connections):
            socket.transport.abort()

    def _greet(self, connection: ServerConnection, request: Request) -> Response | None:
        self.headers.append(request.headers.get("Authorization"))
        if self.switches.status is not None:
            return connection.respond(HTTPStatus(self.switches.status), "switched off\n")
        return None

    async def _serve(self, socket: ServerConnection) -> None:
        self.connections += 1
        form = socket.subprotocol or ""
        decoder: msgspec.json.Decoder[FromEdge] | msgspec.msgpack.Decoder[FromEdge]
        decoder = (
            msgspec.json.Decoder(FromEdge)
            if form == SUBPROTOCOL_JSON
            else msgspec.msgpack.Decoder(FromEdge)
        )
        if self.switches.close_code is not None:
            code, self.switches.close_code = self.switches.close_code, None
            await socket.close(code, "switched")
            return
        if self.switches.silent:
            await socket.wait_closed()
            return
        sessions: dict[str, str] = {}
        received = 0
        try:
            async for frame in socket:
                data = frame.encode() if isinstance(frame, str) else frame
                received += len(data)
                cut = self.switches.cut_after_bytes
                if cut is not None and received >= cut:
                    self.switches.cut_after_bytes = None
                    socket.transport.abort()
                    return
                if await self._message(socket, form, decoder.decode(data), sessions):
                    return
        except ConnectionClosed:
            return

    async def _message(
        self, socket: ServerConnection, form: str, message: FromEdge, sessions: dict[str, str]
    ) -> bool:
        """Answer one message; True when the socket is done."""
        match message:
            case Hello():
                await self._hello(socket, form, message, sessions)
            case ObserveRaw():
                seen = self.seen[message.camera, sessions[message.camera]]
                if self.switches.lose_frames > 0:
                    self.switches.lose_frames -= 1
                    return False
                bodies = {
                    message.first_seq + index: bytes(raw)
                    for index, raw in enumerate(message.observations)
                }
                await self._apply(socket, form, message.camera, seen, bodies)
            case Gap():
                seen = self.seen[message.camera, sessions[message.camera]]
                self._within(message.camera, seen, message.last_seq)
                if message.first_seq > seen.last_seq + 1:
                    await self._say(socket, form, Resync(message.camera, seen.last_seq + 1))
                    return False
                if message.last_seq > seen.last_seq:
                    seen.gaps.append(message)
                    seen.last_seq = message.last_seq
                await self._ack(socket, form, message.camera, seen)
            case Ping():
                self.pings += 1
                await self._say(socket, form, Pong())
            case Pong():
                pass
            case Bye():
                if message.camera is None:
                    await socket.close(1000, "bye")
                    return True
                self.seen[message.camera, sessions[message.camera]].byes += 1
        return False

    async def _hello(
        self, socket: ServerConnection, form: str, hello: Hello, sessions: dict[str, str]
    ) -> None:
        self.hellos.append(hello)
        if hello.camera in self.switches.refuse:
            code, reason = self.switches.refuse[hello.camera]
            await self._say(socket, form, Bye(code, reason, hello.camera))
            return
        sessions[hello.camera] = hello.session
        seen = self.seen.setdefault((hello.camera, hello.session), Seen())
        seen.limit = max(seen.limit, seen.last_seq + self.credits)
        credits = seen.limit - seen.last_seq
        await self._say(
            socket,
            form,
            Welcome(
                hello.camera,
                hello.session,
                seen.last_seq + 1,
                credits,
                self.heartbeat_s,
                datetime.now(UTC),
            ),
        )

    async def _apply(
        self, socket: ServerConnection, form: str, camera: str, seen: Seen, bodies: dict[int, bytes]
    ) -> None:
        first, last = min(bodies), max(bodies)
        self._within(camera, seen, last)
        if first > seen.last_seq + 1:
            await self._say(socket, form, Resync(camera, seen.last_seq + 1))
            return
        for seq, body in bodies.items():
            if seq > seen.last_seq:
                seen.last_seq = seq
                seen.order.append(seq)
                if seq in self.switches.poison:
                    await self._say(socket, form, Reject(camera, seq, "bad_input", "poison"))
                else:
                    seen.applied[seq] = body
            elif seen.applied.get(seq, body) != body:
                self.violations.append(f"{camera}: seq {seq} came again with another body")
        await self._ack(socket, form, camera, seen)

    def _within(self, camera: str, seen: Seen, last: int) -> None:
        if last > seen.limit:
            self.violations.append(f"{camera}: seq {last} beyond credit {seen.limit}")

    async def _ack(self, socket: ServerConnection, form: str, camera: str, seen: Seen) -> None:
        if self.switches.drop_acks > 0:
            self.switches.drop_acks -= 1
            return
        seen.limit = max(seen.limit, seen.last_seq + self.credits)
        ack = Ack(camera, seen.last_seq, seen.limit - seen.last_seq)
        if self.switches.hold_acks:
            self._held.append((socket, form, ack))
        else:
            await self._say(socket, form, ack)

    async def _say(self, socket: ServerConnection, form: str, message: ToEdge) -> None:
        await asyncio.sleep(0)
        if form == SUBPROTOCOL_JSON:
            await socket.send(msgspec.json.encode(message), text=True)
        else:
            await socket.send(msgspec.msgpack.encode(message))
