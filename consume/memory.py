"""Where a consumer is, forgotten when it ends: for a look at a stream, and for tests."""

import contextlib
from collections.abc import AsyncIterator

from consume.judging import Mark, Message, StreamHole


class MemoryLedger:
    """`consume.consumer.Book` without a database: nothing of it outlives the process."""

    def __init__(self) -> None:
        self.at = (0, "")
        self.marks: dict[str, Mark] = {}
        self.dead: list[tuple[str, str]] = []
        self.holes: list[StreamHole] = []

    async def position(self) -> tuple[int, str]:
        return self.at

    @contextlib.asynccontextmanager
    async def turn(self, before: int) -> AsyncIterator[None]:
        yield None

    async def mark(self, camera: str) -> Mark:
        return self.marks.get(camera, Mark())

    async def advance(self, message: Message, mark: Mark | None) -> None:
        self.at = (message.place, message.id)
        if mark is not None:
            self.marks[message.camera] = mark

    async def move(self, place: int, id: str) -> None:
        self.at = (place, id)

    async def bury(self, message: Message, attributes: str, error: str) -> None:
        self.dead.append((message.id, error))

    async def note(self, hole: StreamHole) -> None:
        self.holes.append(hole)
