"""``POST /v1/cameras/{id}/observations`` for devices without a socket (design section 8): the same
items, the same order, the same ack.

Each (hub, camera) has one HTTP stream, a link like any other, kept for a while between two posts;
posts of one camera go one by one. Idempotent by (session, seq): a post that was committed before
answers 200 again.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from actors.core.camera.decoding import without_constants
from actors.core.errors import BadInput, Conflict, TooMany, Unavailable, WrongSeq
from actors.core.messages.deliveries import (
    NOT_OWNER,
    Acked,
    Answer,
    AskedAgain,
    Attach,
    Data,
    Detach,
    Dismissed,
    Refused,
    Welcomed,
)
from actors.core.messages.edge_protocol import MAX_MESSAGE_BYTES, Post
from actors.core.times import to_us
from hub.ingest.node import EdgeNode

MAX_BODY_BYTES = 16 * MAX_MESSAGE_BYTES
MAX_WAITING = 16  # posts of one camera waiting for their turn
MAX_STREAMS = 4_096  # HTTP streams of one hub
ANSWER_S = 10.0  # seconds a post waits for its commit
RETRY_AFTER_S = 1.0


@dataclass(slots=True)
class _Stream:
    link: str
    session: str = ""
    welcomed: bool = False
    durable: int = 0
    limit: int = 0
    expected: int | None = None
    ended: Dismissed | None = None
    refused: dict[int, Refused] = field(default_factory=dict)
    waiting: int = 0
    used: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Ingest:
    """The HTTP streams of one hub."""

    def __init__(
        self, node: EdgeNode, *, wall_us: Callable[[], int] = lambda: time.time_ns() // 1000
    ) -> None:
        self._node = node
        self._wall_us = wall_us
        self._streams: dict[str, _Stream] = {}
        self._idle_s = node.context.settings.camera.offline_after_s

    async def post(self, camera: str, body: bytes, *, packed: bool) -> dict[str, Any]:
        """Commit the observations of `body`; ``{session, seq, rejected}``. The caller has checked
        token and policy.

        Raises BadInput, WrongSeq and Conflict (409), TooMany (429), Unavailable (503).
        """
        asked = _read(body, packed=packed)
        stream = self._stream(camera)
        if stream.waiting >= MAX_WAITING:
            raise TooMany(
                f"{MAX_WAITING} posts of camera {camera} wait already", retry_after_s=RETRY_AFTER_S
            )
        stream.waiting += 1
        try:
            async with asyncio.timeout(ANSWER_S), stream.turn:
                return await self._commit(camera, stream, asked, packed=packed)
        except TimeoutError as error:
            raise Unavailable(
                f"no commit within {ANSWER_S:g} s; post the same again", retry_after_s=RETRY_AFTER_S
            ) from error
        finally:
            stream.waiting -= 1
            stream.used = time.monotonic()

    def sweep(self) -> None:
        """Detach streams that nobody has used for as long as a camera may be silent."""
        now = time.monotonic()
        for camera, stream in list(self._streams.items()):
            if not stream.waiting and now - stream.used > self._idle_s:
                self._end(camera, stream, "idle")

    async def _commit(
        self, camera: str, stream: _Stream, asked: Post, *, packed: bool
    ) -> dict[str, Any]:
        await self._attach(camera, stream, asked.session)
        last = asked.first_seq + len(asked.observations) - 1
        if asked.first_seq > stream.durable + 1:
            raise WrongSeq(stream.durable + 1)
        stream.expected = None
        stream.refused.clear()
        if last > stream.durable:
            if last > stream.limit:
                raise TooMany(
                    f"at most {stream.limit - stream.durable} observations can be taken now",
                    retry_after_s=RETRY_AFTER_S,
                )
            self._node.pump.put(self._data(camera, stream, asked, packed=packed), urgent=True)
            while stream.durable < last:
                await self._news(stream)
                if stream.ended is not None:
                    raise self._why(camera, stream)
                if stream.expected is not None:
                    raise WrongSeq(stream.expected)
        rejected = [
            {"seq": r.seq, "code": r.code, "detail": r.detail} for r in stream.refused.values()
        ]
        return {"session": asked.session, "seq": stream.durable, "rejected": rejected}

    async def _attach(self, camera: str, stream: _Stream, session: str) -> None:
        if stream.welcomed and stream.session == session and stream.ended is None:
            return
        stream.session, stream.welcomed, stream.ended = session, False, None
        stream.durable = stream.limit = 0
        self._node.pump.put(Attach(camera, stream.link, session, 1, self._wall_us()))
        while not stream.welcomed:
            await self._news(stream)
            if stream.ended is not None:
                raise self._why(camera, stream)

    async def _news(self, stream: _Stream) -> None:
        stream.changed.clear()
        await stream.changed.wait()

    def _why(self, camera: str, stream: _Stream) -> Conflict | TooMany | Unavailable:
        ended = stream.ended
        stream.welcomed = False
        if ended is not None and ended.code == Conflict.close_code:
            return Conflict(f"camera {camera}: {ended.reason}", hint="Start a new session.")
        if ended is not None and ended.code == TooMany.close_code:
            return TooMany(f"camera {camera}: {ended.reason}", retry_after_s=RETRY_AFTER_S)
        return Unavailable(
            f"camera {camera}: {'' if ended is None else ended.reason}; post the same again",
            retry_after_s=RETRY_AFTER_S,
        )

    def _data(self, camera: str, stream: _Stream, asked: Post, *, packed: bool) -> Data:
        # The actor decodes every item and finds the bad ones, as it does for sockets.
        items = [bytes(raw) for raw in asked.observations]
        sent_us = None if asked.sent is None else to_us(asked.sent)
        form = "msgpack" if packed else "json"
        return Data(
            camera,
            stream.link,
            asked.session,
            asked.first_seq,
            self._wall_us(),
            form,
            items,
            sent_us,
            asked.backlog,
        )

    def _stream(self, camera: str) -> _Stream:
        stream = self._streams.get(camera)
        if stream is None:
            if len(self._streams) >= MAX_STREAMS:
                self.sweep()
            if len(self._streams) >= MAX_STREAMS:
                raise TooMany("this hub serves too many HTTP streams", retry_after_s=RETRY_AFTER_S)
            stream = self._streams[camera] = _Stream(link="")
            stream.link = self._node.open_link(
                lambda answer: self._answered(camera, answer), lambda: self._leave(camera)
            )
            stream.used = time.monotonic()
        return stream

    def _leave(self, camera: str) -> None:
        stream = self._streams.get(camera)
        if stream is not None:
            self._end(camera, stream, "this hub stops")

    def _end(self, camera: str, stream: _Stream, reason: str) -> None:
        del self._streams[camera]
        stream.ended = Dismissed(camera, stream.link, Unavailable.close_code, reason)
        stream.changed.set()
        self._node.pump.put(Detach(camera, stream.link, self._wall_us(), False, reason))
        self._node.close_link(stream.link)

    def _answered(self, camera: str, answer: Answer) -> None:
        stream = self._streams.get(camera)
        if stream is None:
            return
        match answer:
            case Welcomed() if answer.session == stream.session:
                if stream.welcomed:
                    # The actor changed under a post: what was sent may be lost, the device posts
                    # again from here.
                    stream.expected = answer.resume_from
                stream.welcomed = True
                stream.durable = answer.resume_from - 1
                stream.limit = answer.resume_from - 1 + answer.credits
            case Acked():
                stream.durable = max(stream.durable, answer.seq)
                stream.limit = max(stream.limit, answer.seq + answer.credits)
            case AskedAgain():
                stream.expected = answer.resume_from
            case Refused():
                stream.refused[answer.seq] = answer
            case Dismissed() if answer.code != NOT_OWNER:
                stream.ended = answer
        stream.changed.set()


def _read(body: bytes, *, packed: bool) -> Post:
    """The post in `body`, also one of JSON with NaN or Infinity in its items. Raises BadInput."""
    decode = msgspec.msgpack.decode if packed else msgspec.json.decode
    try:
        return decode(body, type=Post)
    except _BAD as error:
        reason = error
    try:
        if packed:
            raise reason
        return msgspec.json.decode(without_constants(body), type=Post)
    except _BAD as error:
        raise BadInput(f"the body is no post of observations: {reason}") from error


_BAD = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError, ValueError)
