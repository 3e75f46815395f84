"""One edge socket as a pure state machine: frames and answers in, effects out (design section 8).

The shell (`hub.ingest.socket`) reads and writes the socket, asks policy and carries items to the
pump; every decision about sessions, credits, heartbeats and bad input is made here. `now` is a
monotonic clock in seconds, `wall_us` microseconds since 1970.
"""

from dataclasses import dataclass
from typing import Literal

import msgspec

from actors.core.errors import BadInput, EyrieError, TooMany
from actors.core.messages import deliveries, edge_protocol
from actors.core.messages.deliveries import (
    Acked,
    Alive,
    Answer,
    AskedAgain,
    Attach,
    Data,
    DeclareGap,
    Detach,
    Dismissed,
    Item,
)
from actors.core.messages.edge_protocol import (
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
from actors.core.times import from_us, to_us
from hub.ingest.salvage import MAX_SEQ, Salvaged, salvage
from hub.ingest.strikes import Strikes

Format = Literal["json", "msgpack"]

MAX_CAMERAS = 1024  # camera streams on one socket
MAX_DETAIL = 300  # characters of an error text that go back to the edge
SILENT_HEARTBEATS = 2.5  # heartbeats without a sign of the edge before its socket is closed
# close code: a frame that cannot be decoded after others could: the link damaged it, reconnect
DAMAGED = 4002
# close code: the store knows less than was acked (it was restored): say hello again, the welcome
# says where to go on
REWOUND = 4003
NO_HELLO = 4005  # close code: no hello in time, reconnect
SILENT = 4007  # close code: nothing heard, reconnect
OVER_CREDIT = TooMany.close_code
NORMAL = 1000
UNUSABLE = "unusable_input"  # why a camera is offline whose frames cannot be used
USELESS = "frames that cannot be used, again and again; mend the device and start a new session"

_BAD_FRAME = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError)


class Send(msgspec.Struct, frozen=True):
    """Write this message to the socket."""

    message: ToEdge


class Forward(msgspec.Struct, frozen=True):
    """Give this item to the pump; `urgent` items do not linger."""

    item: Item
    urgent: bool = True


class AuthorizeHello(msgspec.Struct, frozen=True):
    """Ask token and policy about this hello, then call :meth:`EdgeLink.admitted` or
    :meth:`EdgeLink.refused`."""

    hello: Hello


class RecordUndecodable(msgspec.Struct, frozen=True):
    """Keep a frame that did not decode in the dead letters: it has no seq, and a `camera` only
    where one could still be read."""

    code: str
    detail: str
    raw: bytes
    camera: str = ""


class CloseSocket(msgspec.Struct, frozen=True):
    """Close the socket, after what was sent before."""

    code: int
    reason: str


Effect = Send | Forward | AuthorizeHello | RecordUndecodable | CloseSocket


@dataclass(slots=True)
class _Stream:
    hello: Hello
    phase: Literal["asking", "attaching", "open"]
    limit: int = 0  # highest seq that the credits given so far admit
    acked: int = 0  # highest seq that was told to be durable


class EdgeLink:
    """The state of one edge socket. `name` is the link of
    :mod:`actors.core.messages.deliveries`."""

    def __init__(
        self,
        name: str,
        form: Format,
        *,
        now: float,
        first_message_s: float,
        heartbeat_s: float = edge_protocol.HEARTBEAT_S,
        strikes: Strikes | None = None,
    ) -> None:
        self.name = name
        self.format: Format = form
        self.closed = False
        self._heartbeat_s = heartbeat_s
        self._first_message_s = first_message_s
        self._strikes = (
            strikes if strikes is not None else Strikes()
        )  # shared by all sockets of a hub
        self._opened = self._heard = self._pinged = now
        self._told = now  # when its cameras were last told that it is alive
        self._greeted = self._understood = False
        self._streams: dict[str, _Stream] = {}
        self._ended: dict[str, None] = {}
        if form == "json":
            self._frames: msgspec.json.Decoder[FromEdge] | msgspec.msgpack.Decoder[FromEdge] = (
                _JSON_FRAMES
            )
        else:
            self._frames = _MSGPACK_FRAMES

    @property
    def cameras(self) -> list[str]:
        """The cameras with a stream on this socket."""
        return list(self._streams)

    def received(self, frame: bytes, now: float, wall_us: int) -> list[Effect]:
        """One websocket frame of the edge."""
        if self.closed:
            return []
        self._heard = now
        try:
            message = self._frames.decode(frame)
        except _BAD_FRAME as error:
            return self._damaged(
                frame,
                f"this frame is no message of {self.format}: {error}"[:MAX_DETAIL],
                now,
                wall_us,
            )
        self._understood = True
        alive = self._alive(now, wall_us)
        return self._understand(message, frame, now, wall_us) + ([] if self.closed else alive)

    def _understand(
        self, message: FromEdge, frame: bytes, now: float, wall_us: int
    ) -> list[Effect]:
        match message:
            case ObserveRaw():
                items = [bytes(raw) for raw in message.observations]
                return self._observe(message.camera, message.first_seq, items, message, wall_us)
            case Hello():
                return self._hello(message, now)
            case Gap():
                return self._gap(message, frame, now, wall_us)
            case Ping():
                return [Send(Pong())]
            case Pong():
                return []
            case Bye():
                return self._bye(message, wall_us)

    def admitted(self, hello: Hello, now: float, wall_us: int) -> list[Effect]:
        """Token and policy allow this hello."""
        stream = self._streams.get(hello.camera)
        if self.closed or stream is None or stream.hello is not hello:
            return []
        stream.phase = "attaching"
        return [self._attach(hello, wall_us)]

    def refused(self, camera: str, error: EyrieError, wall_us: int) -> list[Effect]:
        """Token, registry or policy say no, now or later: the camera's stream ends, its neighbours
        go on."""
        stream = self._streams.get(camera)
        if self.closed or stream is None:
            return []
        detach: list[Effect] = []
        if stream.phase != "asking":
            detach.append(Forward(Detach(camera, self.name, wall_us, False, error.code)))
        return detach + self._end(camera, error.close_code, f"{error.detail}. {error.next_step}")

    def answered(self, answer: Answer, wall_us: int) -> list[Effect]:
        """One answer of the camera's actor."""
        stream = self._streams.get(answer.camera)
        if self.closed or stream is None:
            return []
        match answer:
            case Acked():
                if stream.phase != "open":
                    return []
                stream.limit = max(stream.limit, answer.seq + answer.credits)
                if answer.seq > stream.acked:
                    stream.acked = answer.seq
                    self._strikes.forgive(answer.camera, stream.hello.session)
                return [Send(Ack(answer.camera, answer.seq, stream.limit - answer.seq))]
            case deliveries.Welcomed():
                return self._welcomed(stream, answer, wall_us)
            case AskedAgain():
                late = (
                    stream.phase != "open" or answer.resume_from <= stream.acked
                )  # an ack has overtaken it
                return [] if late else [Send(Resync(answer.camera, answer.resume_from))]
            case deliveries.Refused():
                return [
                    Send(Reject(answer.camera, answer.seq, answer.code, answer.detail[:MAX_DETAIL]))
                ]
            case Dismissed():
                return self._end(answer.camera, answer.code, answer.reason)

    def tick(self, now: float, wall_us: int) -> list[Effect]:
        """Time passes; call it at least every second."""
        if self.closed:
            return []
        if not self._greeted and now - self._opened >= self._first_message_s:
            return self._close(NO_HELLO, f"no hello within {self._first_message_s:g} s")
        if now - self._heard >= SILENT_HEARTBEATS * self._heartbeat_s:
            return self._lose(
                SILENT,
                f"nothing heard for {now - self._heard:.0f} s; send a ping every "
                f"{self._heartbeat_s:g} s",
                wall_us,
            )
        if now - self._pinged < self._heartbeat_s:
            return []
        self._pinged = now
        return [Send(Ping())]

    def _alive(self, now: float, wall_us: int) -> list[Effect]:
        """The edge said something that could be used: its cameras are told at once, at most every
        half heartbeat.

        Told at the hub's own heartbeats, a ping that came just after one was a heartbeat old, or
        told to nobody.
        """
        if now - self._told < 0.5 * self._heartbeat_s:
            return []
        self._told = now
        return [
            Forward(Alive(camera, self.name, wall_us), urgent=False)
            for camera, s in self._streams.items()
            if s.phase == "open"
        ]

    def lost(self, reason: str, wall_us: int, *, clean: bool = False) -> list[Effect]:
        """The socket is gone: every stream detaches."""
        gone = [
            Forward(Detach(camera, self.name, wall_us, clean, reason))
            for camera, s in self._streams.items()
            if s.phase != "asking"
        ]
        self._streams.clear()
        self.closed = True
        return list(gone)

    def leave(self, code: int, reason: str, wall_us: int) -> list[Effect]:
        """The hub itself ends the socket (it stops, or the edge reads too slowly)."""
        return [] if self.closed else self._lose(code, reason, wall_us)

    def _attach(self, hello: Hello, wall_us: int) -> Effect:
        return Forward(
            Attach(
                hello.camera,
                self.name,
                hello.session,
                hello.next_seq,
                wall_us,
                hello.producer,
                hello.frame_size,
            )
        )

    def _hello(self, hello: Hello, now: float) -> list[Effect]:
        self._greeted = True
        if self._strikes.out(hello.camera, hello.session, now):
            return self._end(hello.camera, BadInput.close_code, USELESS)
        old = self._streams.get(hello.camera)
        if old is None and len(self._streams) >= MAX_CAMERAS:
            return [
                Send(
                    Bye(OVER_CREDIT, f"more than {MAX_CAMERAS} cameras on one socket", hello.camera)
                )
            ]
        self._ended.pop(hello.camera, None)
        same = old is not None and old.hello.session == hello.session
        self._streams[hello.camera] = _Stream(
            hello, "asking", old.limit if old is not None and same else 0
        )
        return [AuthorizeHello(hello)]

    def _observe(
        self,
        camera: str,
        first_seq: int,
        items: list[bytes],
        message: ObserveRaw | Salvaged,
        wall_us: int,
    ) -> list[Effect]:
        stream = self._streams.get(camera)
        if stream is None:
            return self._stranger(camera)
        last = first_seq + len(items) - 1
        if stream.phase != "open" or last > stream.limit:
            return self._over_credit(camera, stream, last, wall_us)
        sent_us = None if message.sent is None else to_us(message.sent)
        session = stream.hello.session
        data = Data(
            camera,
            self.name,
            session,
            first_seq,
            wall_us,
            self.format,
            items,
            sent_us,
            message.backlog,
        )
        # The actor decodes every item and finds the bad ones: decoding them here too took a third
        # of a hub's time. Whether one is urgent is a guess: a label with these letters saves its
        # neighbours the lingering, a key in JSON escapes lingers.
        return [Forward(data, any(_ALARM in item for item in items))]

    def _gap(self, message: Gap, frame: bytes, now: float, wall_us: int) -> list[Effect]:
        stream = self._streams.get(message.camera)
        if stream is None:
            return self._stranger(message.camera)
        if message.last_seq < message.first_seq:
            detail = f"a gap ends before it begins: {message.first_seq}..{message.last_seq}"
            return [
                RecordUndecodable(BadInput.code, detail, frame, message.camera),
                *self._strike(message.camera, stream, detail, now, wall_us),
            ]
        if stream.phase != "open" or message.last_seq > stream.limit:
            return self._over_credit(message.camera, stream, message.last_seq, wall_us)
        session = stream.hello.session
        return [
            Forward(
                DeclareGap(
                    message.camera,
                    self.name,
                    session,
                    message.first_seq,
                    message.last_seq,
                    message.reason,
                    wall_us,
                )
            )
        ]

    def _over_credit(self, camera: str, stream: _Stream, last: int, wall_us: int) -> list[Effect]:
        limit = stream.limit if stream.phase == "open" else 0
        what = f"seq {last} of camera {camera} is beyond the credits given (up to {limit})"
        return self._expel(camera, stream, OVER_CREDIT, what, wall_us, "over_credit", clean=False)

    def _damaged(self, frame: bytes, detail: str, now: float, wall_us: int) -> list[Effect]:
        """A frame that did not decode: what can still be read of it goes on, the rest costs its
        camera alone where it names one."""
        found = salvage(frame, self.format) if self._understood else None
        stream = self._streams.get(found.camera) if found is not None else None
        record = RecordUndecodable(
            BadInput.code, detail, frame, found.camera if found is not None else ""
        )
        if not self._understood:  # one that never spoke the protocol must not try for ever
            return [record, *self._close(BadInput.close_code, detail)]
        if found is not None and stream is not None:
            items, first = found.items or [], found.first_seq
            early = max(0, 1 - first)
            if len(items) <= early or first > MAX_SEQ:
                return [record, *self._strike(found.camera, stream, detail, now, wall_us)]
            refused: list[Effect] = []
            for seq, item in enumerate(items[:early], first):
                refused.append(
                    RecordUndecodable(
                        BadInput.code,
                        f"seq {seq}: the first observation of a session has seq 1",
                        item,
                        found.camera,
                    )
                )
                refused.append(
                    Send(
                        Reject(
                            found.camera,
                            seq,
                            BadInput.code,
                            "the first observation of a session has seq 1",
                        )
                    )
                )
            return [
                *refused,
                *self._observe(found.camera, first + early, items[early:], found, wall_us),
            ]
        if found is not None:
            ends = (
                self._end(found.camera, BadInput.close_code, detail)
                if found.kind == "hello"
                else self._stranger(found.camera)
            )
            return [record, *ends]
        useless = [
            camera
            for camera, s in self._streams.items()
            if self._strikes.count(camera, s.hello.session, now)
        ]
        if not useless:
            return [record, *self._close(DAMAGED, detail)]  # the link may have damaged it
        return [
            record,
            *(
                e
                for c in useless
                for e in self._expel(
                    c, self._streams[c], BadInput.close_code, USELESS, wall_us, UNUSABLE
                )
            ),
        ]

    def _strike(
        self, camera: str, stream: _Stream, detail: str, now: float, wall_us: int
    ) -> list[Effect]:
        """Nothing of a camera's frame can be used: it is asked where to go on, a few times, and
        then ended for good."""
        if self._strikes.count(camera, stream.hello.session, now):
            return self._expel(
                camera, stream, BadInput.close_code, f"{USELESS}: {detail}", wall_us, UNUSABLE
            )
        return [self._attach(stream.hello, wall_us)] if stream.phase == "open" else []

    def _expel(
        self,
        camera: str,
        stream: _Stream,
        code: int,
        reason: str,
        wall_us: int,
        told: str,
        *,
        clean: bool = True,
    ) -> list[Effect]:
        """End one camera's stream; dashboards are told `told`, at once when `clean`."""
        gone: list[Effect] = (
            []
            if stream.phase == "asking"
            else [Forward(Detach(camera, self.name, wall_us, clean, told))]
        )
        return [*gone, *self._end(camera, code, reason)]

    def _stranger(self, camera: str) -> list[Effect]:
        """Something for a camera without a stream: late after a bye (silence), or never greeted
        (told once)."""
        if camera in self._ended:
            return []
        return self._end(camera, BadInput.close_code, "say hello for this camera first")

    def _bye(self, message: Bye, wall_us: int) -> list[Effect]:
        if message.camera is None:
            effects = self.lost(message.reason or "bye", wall_us, clean=True)
            return [*effects, CloseSocket(NORMAL, "bye")]
        stream = self._streams.pop(message.camera, None)
        if stream is None:
            return []
        self._remember(message.camera)
        if stream.phase == "asking":
            return []
        return [Forward(Detach(message.camera, self.name, wall_us, True, message.reason or "bye"))]

    def _welcomed(self, stream: _Stream, answer: deliveries.Welcomed, wall_us: int) -> list[Effect]:
        if answer.session != stream.hello.session or stream.phase == "asking":
            return []
        durable = answer.resume_from - 1
        if stream.phase == "open" and durable < stream.acked:
            what = (
                f"the store knows up to seq {durable} only, {stream.acked} was acked: it was "
                "restored; say hello again"
            )
            return self._expel(
                answer.camera, stream, REWOUND, what, wall_us, "rewound", clean=False
            )
        stream.acked = durable
        stream.limit = max(stream.limit, durable + answer.credits)
        credits = stream.limit - durable
        if stream.phase == "attaching":
            stream.phase = "open"
            time = from_us(wall_us)
            return [
                Send(
                    Welcome(
                        answer.camera,
                        answer.session,
                        answer.resume_from,
                        credits,
                        self._heartbeat_s,
                        time,
                    )
                )
            ]
        return [
            Send(Ack(answer.camera, durable, credits)),
            Send(Resync(answer.camera, answer.resume_from)),
        ]

    def _end(self, camera: str, code: int, reason: str) -> list[Effect]:
        """Say bye for one camera; the socket closes with the same code when it carries no other."""
        self._streams.pop(camera, None)
        self._remember(camera)
        bye = Send(Bye(code, reason[:120], camera))
        return [bye] if self._streams else [bye, *self._close(code, reason)]

    def _remember(self, camera: str) -> None:
        self._ended[camera] = None
        if len(self._ended) > MAX_CAMERAS:
            del self._ended[next(iter(self._ended))]

    def _lose(self, code: int, reason: str, wall_us: int) -> list[Effect]:
        return [*self.lost(reason[:120], wall_us), *self._close(code, reason)]

    def _close(self, code: int, reason: str) -> list[Effect]:
        self.closed = True
        return [Send(Bye(code, reason[:120])), CloseSocket(code, reason[:120])]


_JSON_FRAMES: msgspec.json.Decoder[FromEdge] = msgspec.json.Decoder(FromEdge)
_MSGPACK_FRAMES: msgspec.msgpack.Decoder[FromEdge] = msgspec.msgpack.Decoder(FromEdge)
_ALARM = b"alarm"
