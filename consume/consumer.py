"""A consumer of a stream of events: each one's effect once, per camera in order, and nothing passed
over in silence.

    async def effect(transaction, message): ...      # write with `transaction`, and nothing else

    await Consumer(source, Ledger(connection, "billing"), effect, on_hole=note).run()
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias

import msgspec

from consume import judging
from consume.errors import Away, ConsumeError, HoleFound, Refuse
from consume.judging import Mark, Message, StreamHole
from consume.stream import Source, StreamReader

TRIES = 5  # of an effect, before its message becomes a dead letter
PAUSE_S = 0.2  # before the second try; each later one waits twice as long
LONGEST_S = 30.0  # between two tries to reach the broker

log = logging.getLogger("eyrie.consume")

Transaction: TypeAlias = Any  # whatever the ledger's `turn` gives: a connection of the caller's
Effect = Callable[[Transaction, Message], Awaitable[None]]
OnHole = Callable[[Transaction, StreamHole], Awaitable[None]]


class Book(Protocol):
    """Where a consumer is (`consume.ledger`, `consume.memory`)."""

    async def position(self) -> tuple[int, str]: ...

    def turn(self, before: int) -> AbstractAsyncContextManager[Transaction]: ...

    async def mark(self, camera: str) -> Mark: ...

    async def advance(self, message: Message, mark: Mark | None) -> None: ...

    async def move(self, place: int, id: str) -> None: ...

    async def bury(self, message: Message, attributes: str, error: str) -> None: ...

    async def note(self, hole: StreamHole) -> None: ...


async def _stop_at(_transaction: Transaction, hole: StreamHole) -> None:
    raise HoleFound(f"{hole.camera}: nothing between {hole.after} and {hole.before}: {hole.reason}")


class Consumer:
    """`on_hole` is told of what is missing, in the transaction of what comes behind it; without it
    the consumer ends there. `passing`: what an effect may raise that passes by itself, a database
    away, say: it ends `run`, and no message becomes a dead letter for it. `joined`: what came
    before the first message of a camera that is seen is nobody's hole."""

    def __init__(
        self,
        source: Source,
        book: Book,
        effect: Effect,
        *,
        on_hole: OnHole = _stop_at,
        tries: int = TRIES,
        passing: tuple[type[Exception], ...] = (OSError,),
        joined: bool = False,
    ) -> None:
        self._source = source
        self._book = book
        self._effect = effect
        self._on_hole = on_hole
        self._tries = tries
        self._passing = passing
        self._joined = joined
        self._marks: dict[str, Mark] = {}
        self._noted = 0  # the position as the book has it
        self._searched: set[str] = set()  # messages behind holes for which all was read again

    async def run(self, *, until_idle: bool = False) -> None:
        """For ever, or until there is nothing more now. Raises HoleFound, Displaced, NotOurs,
        BrokerRefuses, and what is in `passing`; a broker that is away is waited for."""
        pause = PAUSE_S
        while True:
            try:
                reader = await StreamReader.open(self._source)
            except Away as away:
                log.warning("%s; next try in %.1f s", away, pause)
                await asyncio.sleep(pause)
                pause = min(LONGEST_S, pause * 2)
                continue
            try:
                while await self._read(reader, until_idle):
                    pause = PAUSE_S
                return
            except Away as away:
                log.warning("%s; reading again", away)
                await asyncio.sleep(pause)
                pause = min(LONGEST_S, pause * 2)
            finally:
                await reader.close()

    async def _read(self, reader: StreamReader, until_idle: bool) -> bool:
        """True: begin again, from the beginning of the stream."""
        async for raw in reader.read(await self._start(reader)):
            if raw is None:
                if until_idle:
                    return False
                continue
            message = judging.read(raw.place, raw.headers, raw.data)
            if not await self._deal(message):
                return True
        return False

    async def _start(self, reader: StreamReader) -> int:
        """Where to read from. A broker that lost its tail holds other messages under the numbers
        that we noted: then all is read again, and what was dealt with is known by its mark."""
        self._marks.clear()
        self._noted, id = await self._book.position()
        if not self._noted:
            return 1
        held = await reader.range()
        if self._noted + 1 < held.first or await reader.id_at(self._noted) == id:
            return self._noted + 1
        log.warning("the stream does not hold what was read last: it is read again")
        async with self._book.turn(self._noted):
            await self._book.move(0, "")
        self._noted = 0
        return 1

    async def _deal(self, message: Message) -> bool:
        """False: something is missing before it, and the stream has not been searched for it."""
        mark = self._marks.get(message.camera)
        if mark is None:
            mark = self._marks[message.camera] = await self._book.mark(message.camera)
        verdict = judging.judge(mark, message)
        if verdict == "seen":
            return True
        holes: list[StreamHole] = []
        if verdict == "hole" and not (self._joined and not mark.id):
            if message.id not in self._searched:
                self._searched.add(message.id)
                log.warning("%s: something is missing; the stream is read again", message.id)
                async with self._book.turn(self._noted):
                    await self._book.move(0, "")
                return False
            holes.append(judging.hole_before(mark, message))
        if message.declared:
            holes.append(judging.declared(mark, message))
        await self._try(message, holes)
        return True

    async def _try(self, message: Message, holes: list[StreamHole]) -> None:
        pause = PAUSE_S
        for left in range(self._tries - 1, -1, -1):
            try:
                return await self._take(message, holes, self._effect)
            except Refuse as refused:
                return await self._bury(message, holes, refused)
            except ConsumeError:
                raise
            except self._passing:
                raise
            except Exception as error:
                log.warning("%s failed (%d tries left)", message.id, left, exc_info=error)
                if not left:
                    return await self._bury(message, holes, error)
            await asyncio.sleep(pause)
            pause *= 2

    async def _take(self, message: Message, holes: list[StreamHole], effect: Effect) -> None:
        async with self._book.turn(self._noted) as transaction:
            for hole in holes:
                await self._on_hole(transaction, hole)
                await self._book.note(hole)
            if not message.declared:
                await effect(transaction, message)
            await self._book.advance(message, judging.marked(message))
        self._noted = message.place
        self._marks[message.camera] = judging.marked(message)

    async def _bury(self, message: Message, holes: list[StreamHole], error: Exception) -> None:
        async def bury(_transaction: Transaction, _message: Message) -> None:
            attributes = msgspec.json.encode(message.attributes).decode()
            await self._book.bury(message, attributes, f"{type(error).__name__}: {error}")

        await self._take(message, holes, bury)
        log.error("%s became a dead letter: %s", message.id, error)
