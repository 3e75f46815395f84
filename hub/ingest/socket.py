"""The shell of ``/v1/edge``: reads and writes one websocket and carries out what
:class:`hub.ingest.link.EdgeLink` decides."""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from actors.core.backoff import bound_s
from actors.core.errors import BadInput, EyrieError, TooMany, Unauthorized, Unavailable
from actors.core.messages.deliveries import Answer
from actors.core.messages.edge_protocol import (
    MAX_MESSAGE_BYTES,
    SUBPROTOCOL_JSON,
    SUBPROTOCOL_MSGPACK,
    Ack,
    Bye,
    Hello,
    ToEdge,
)
from hub.access.credentials import ShownCredentials, shown_by
from hub.ingest.link import (
    MAX_CAMERAS,
    AuthorizeHello,
    CloseSocket,
    EdgeLink,
    Effect,
    Format,
    Forward,
    RecordUndecodable,
    Send,
)
from hub.ingest.node import EdgeNode
from policy.identity.principal import Principal
from storage.ports.dead_letters import NewLetter

TICK_S = 0.5  # seconds between two looks at the clock
# seconds between two questions whether a stream is still allowed; answers come from the cache
RECHECK_S = 2.0
MAX_OUTBOX = 4_096  # messages waiting for an edge that does not read
MAX_ASKING = 64  # hellos of one socket that are asked about at once; the others wait for their turn
# seconds without any decision after which hellos are refused; until then they are asked about
# again, with the pauses below: a policy that is busy when many actors start is late, not away
HOLD_S = 5.0
ASK_AGAIN_S, ASK_AGAIN_MAX_S = 0.2, 1.0
TOO_SLOW = 4009  # close code: the edge does not read, reconnect
GOING_AWAY = 4001  # close code: the hub stops, reconnect (another hub, or this one later)
MESSAGE_TOO_BIG = 1009

log = logging.getLogger("eyrie.hub.edge")

_json = msgspec.json.Encoder()
_msgpack = msgspec.msgpack.Encoder()


async def serve_edge(node: EdgeNode, websocket: WebSocket) -> None:
    """Serve one edge socket until it closes."""
    offered = websocket.scope.get("subprotocols", [])
    chosen = next(
        (name for name in (SUBPROTOCOL_MSGPACK, SUBPROTOCOL_JSON) if name in offered), None
    )
    await websocket.accept(subprotocol=chosen)
    if chosen is None:
        await websocket.close(
            BadInput.close_code,
            f"offer the subprotocol {SUBPROTOCOL_MSGPACK} or {SUBPROTOCOL_JSON}",
        )
        return
    shown = shown_by(websocket)
    if not node.enter(shown.address):
        await websocket.close(
            TooMany.close_code,
            "too many edge sockets on this hub or from this address; come back later",
        )
        return
    try:
        await _EdgeSocket(
            node, websocket, shown, "json" if chosen == SUBPROTOCOL_JSON else "msgpack"
        ).run()
    finally:
        node.left(shown.address)


def wall_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


class _EdgeSocket:
    def __init__(
        self, node: EdgeNode, websocket: WebSocket, shown: ShownCredentials, form: Format
    ) -> None:
        self._node = node
        self._websocket = websocket
        self._shown = shown
        self._form: Format = form
        self._principals: dict[str, Principal] = {}
        self._outbox: deque[ToEdge] = deque()
        self._acks: dict[str, Ack] = {}
        self._closing: CloseSocket | None = None
        self._wake = asyncio.Event()
        self._asking: set[asyncio.Task[None]] = set()
        self._hellos: dict[
            str, Hello
        ] = {}  # by camera, in the order they came; at most as many as a socket may carry
        self._answering = 0
        self._undecided_since: float | None = None  # since when no hello could be decided about
        self._link_name = node.open_link(self._answered, self._leave)
        first_message_s = node.context.settings.hub.first_message_s
        self._link = EdgeLink(
            self._link_name,
            form,
            now=time.monotonic(),
            first_message_s=first_message_s,
            strikes=node.strikes,
        )

    async def run(self) -> None:
        tasks = [asyncio.create_task(work) for work in (self._read(), self._write(), self._watch())]
        try:
            if self._node.stopping:
                self._leave()
            done, _pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[1] not in done and self._closing is not None:
                await asyncio.wait(
                    [tasks[1]], timeout=self._node.context.settings.hub.call_timeout_s
                )
        finally:
            for task in (*tasks, *self._asking):
                task.cancel()
            results = await asyncio.gather(*tasks, *self._asking, return_exceptions=True)
            self._carry_out(self._link.lost("the connection ended", wall_us()))
            self._node.close_link(self._link_name)
            for result in results:
                if isinstance(result, Exception) and not isinstance(
                    result, WebSocketDisconnect | OSError | RuntimeError
                ):
                    log.error("an edge socket failed", exc_info=result)

    async def _read(self) -> None:
        while self._closing is None:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            payload = message.get("bytes")
            frame = (
                payload
                if payload is not None
                else str(message.get("text") or "").encode("utf-8", "surrogatepass")
            )
            if len(frame) > MAX_MESSAGE_BYTES:
                self._carry_out(
                    self._link.leave(
                        MESSAGE_TOO_BIG,
                        f"a message has at most {MAX_MESSAGE_BYTES} bytes",
                        wall_us(),
                    )
                )
                break
            self._carry_out(self._link.received(frame, time.monotonic(), wall_us()))
            await asyncio.sleep(
                0
            )  # one busy edge must not hold the loop while its frames are buffered

    async def _write(self) -> None:
        encode = _json.encode if self._form == "json" else _msgpack.encode
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._outbox or self._acks:
                messages: list[ToEdge] = [*self._outbox, *self._acks.values()]
                self._outbox.clear()
                self._acks.clear()
                for message in messages:
                    data = encode(message)
                    if self._form == "json":
                        await self._websocket.send_text(data.decode())
                    else:
                        await self._websocket.send_bytes(data)
            if self._closing is not None:
                await self._websocket.close(self._closing.code, _brief(self._closing.reason))
                return

    async def _watch(self) -> None:
        checked = time.monotonic()
        while self._closing is None:
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            self._carry_out(self._link.tick(now, wall_us()))
            if now - checked >= RECHECK_S:
                checked = now
                for camera, principal in list(self._principals.items()):
                    error = await self._node.access.still(principal, camera)
                    if error is not None and self._principals.get(camera) is principal:
                        self._carry_out(self._link.refused(camera, error, wall_us()))
        await asyncio.Event().wait()

    def _greeted(self, hello: Hello) -> None:
        """Ask about a hello when its turn comes; a newer one of its camera takes its place, and one
        of a camera that left is dropped."""
        self._hellos.pop(hello.camera, None)
        self._hellos[hello.camera] = hello
        if len(self._hellos) > MAX_CAMERAS:
            carried = set(self._link.cameras)
            self._hellos = {
                camera: waiting for camera, waiting in self._hellos.items() if camera in carried
            }
        if self._answering < MAX_ASKING:
            self._answering += 1
            self._spawn(self._answer_hellos())

    async def _answer_hellos(self) -> None:
        try:
            while self._hellos and not self._link.closed:
                await self._authorize(self._hellos.pop(next(iter(self._hellos))))
        finally:
            self._answering -= 1

    async def _authorize(self, hello: Hello) -> None:
        now, camera = time.monotonic(), hello.camera
        try:
            principal = await self._admitted(hello)
        except EyrieError as error:
            if isinstance(error, Unauthorized):
                log.warning("edge %s: camera %s: %s", self._link_name, camera, error)
            self._carry_out(self._link.refused(camera, error, wall_us()))
        else:
            if principal is not None:
                self._principals[camera] = principal
                self._carry_out(self._link.admitted(hello, now, wall_us()))

    async def _admitted(self, hello: Hello) -> Principal | None:
        """Whose hello it is, once it is allowed; None: a newer one of its camera waits, or the
        socket ends. Where no decision can be had it is asked about again, for `HOLD_S`."""
        shown = (
            self._shown
            if hello.token is None
            else msgspec.structs.replace(self._shown, token=hello.token)
        )
        principal = await self._node.access.identify(shown)
        await self._node.context.limiter.charge(("device_hellos", principal.sub))
        attempts = 0
        while hello.camera not in self._hellos and not self._link.closed:
            try:
                await self._node.access.admit(principal, hello.camera)
            except Unavailable as error:
                now = time.monotonic()
                since = self._undecided_since = self._undecided_since or now
                if type(error) is not Unavailable or now - since >= HOLD_S:
                    raise
                pause_s = bound_s(attempts, ASK_AGAIN_S, ASK_AGAIN_MAX_S)
                attempts += 1
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
            except EyrieError:
                self._undecided_since = None
                raise
            else:
                self._undecided_since = None
                return principal
        return None

    def _device(self) -> str:
        """Who has shown a valid token here; empty: nobody. Only their frames are kept; what others
        send is counted and answered."""
        for principal in self._principals.values():
            return principal.sub
        try:
            return self._node.access.principal(self._shown).sub
        except EyrieError:
            return ""

    def _record(self, record: RecordUndecodable) -> None:
        """Hand it to the node: this socket is soon closed, and what it sent is kept all the same.
        It names only cameras of this socket."""
        camera = (
            record.camera if record.camera in self._principals else next(iter(self._principals), "")
        )
        letter = NewLetter(camera, "", record.code, record.detail, record.raw, wall_us())
        self._node.frames.put(self._device(), letter)

    def _answered(self, answer: Answer) -> None:
        self._carry_out(self._link.answered(answer, wall_us()))

    def _leave(self) -> None:
        self._carry_out(self._link.leave(GOING_AWAY, "this hub stops", wall_us()))

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Forward():
                    self._node.pump.put(effect.item, urgent=effect.urgent)
                case Send(message):
                    self._send(message)
                case AuthorizeHello(hello):
                    self._greeted(hello)
                case RecordUndecodable():
                    self._record(effect)
                case CloseSocket():
                    self._closing = self._closing or effect
                    self._wake.set()

    def _send(self, message: ToEdge) -> None:
        if isinstance(message, Ack):
            self._acks[message.camera] = message  # cumulative: the newest is enough
        else:
            camera = getattr(message, "camera", None)
            if (
                camera is not None
                and not isinstance(message, Bye)
                and (ack := self._acks.pop(camera, None)) is not None
            ):
                self._outbox.append(ack)
            self._outbox.append(message)
            if len(self._outbox) > MAX_OUTBOX and not self._link.closed:
                self._carry_out(
                    self._link.leave(
                        TOO_SLOW, "the edge does not read what is sent to it", wall_us()
                    )
                )
        for camera in (
            self._principals.keys() - set(self._link.cameras) if isinstance(message, Bye) else ()
        ):
            del self._principals[camera]
        self._wake.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)


def _brief(text: str) -> str:
    """At most 123 bytes: what a close frame carries (RFC 6455, 5.5)."""
    return text.encode()[:120].decode(errors="ignore")
