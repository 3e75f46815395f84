"""Doubles of `actors.ports`: an actor that answers as told, and a directory over such actors."""

import asyncio
from collections.abc import Callable, Sequence

from actors.core.errors import EyrieError, Unavailable
from actors.core.messages import deliveries
from actors.core.messages.deliveries import Acked, Answer, Attach, Data, DeclareGap, Item, Welcomed
from actors.ports import ActorHandle


class FakeActor:
    """Answers attaches and acks data at once, in order; parks a call when nothing is due. Switches:
    `dead`, `silent`, `mute`."""

    def __init__(self, name: str, *, credits: int = 100) -> None:
        self.name = name
        self.credits = credits
        self.dead = False  # calls raise Unavailable
        self.silent = False  # calls never return
        self.mute = False  # data is taken and never acked
        self.last_seq: dict[str, int] = {}
        self.calls: list[list[Item]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.override: Callable[[Item], list[Answer] | None] = lambda item: None
        self.looked: list[str] = []
        self.replayed: list[tuple[int, str]] = []
        self.resets: list[tuple[str, Sequence[str] | None, str | None]] = []
        self.refusal: EyrieError | None = None  # what a replay raises
        self._newer = asyncio.Event()

    async def look(self, cameras: Sequence[str]) -> dict[str, int]:
        """Note it."""
        if self.dead:
            raise Unavailable(f"{self.name} is gone")
        self.looked += cameras
        return {}

    async def reset_counts(
        self, camera: str, lines: Sequence[str] | None, reason: str | None
    ) -> str:
        """Note it."""
        if self.refusal is not None:
            raise self.refusal
        self.resets.append((camera, lines, reason))
        return f"reset-of-{camera}"

    async def replay(self, letter: int, by: str) -> str:
        """Note it."""
        if self.refusal is not None:
            raise self.refusal
        self.replayed.append((letter, by))
        return f"event-of-{letter}"

    @property
    def items(self) -> list[Item]:
        """Everything delivered, in order."""
        return [item for call in self.calls for item in call]

    async def deliver(self, hub: str, items: bytes) -> bytes:
        """One call of a hub."""
        if self.dead:
            raise Unavailable(f"{self.name} is gone")
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            _numbered, batch = deliveries.open_call(items)
            self.calls.append(batch)
            if self.silent:
                await asyncio.Event().wait()
            self._newer.set()
            newer = self._newer = asyncio.Event()
            answers = [answer for item in batch for answer in self._answers(item)]
            if not answers:
                try:
                    async with asyncio.timeout(deliveries.PARK_S):
                        await newer.wait()
                except TimeoutError:
                    answers = []
            return deliveries.encoder.encode(answers)
        finally:
            self.in_flight -= 1

    def _answers(self, item: Item) -> list[Answer]:
        told = self.override(item)
        if told is not None:
            return told
        last = self.last_seq.get(item.camera, 0)
        if isinstance(item, Attach):
            return [Welcomed(item.camera, item.link, item.session, last + 1, self.credits)]
        if self.mute or not isinstance(item, Data | DeclareGap):
            return []
        end = (
            item.last_seq if isinstance(item, DeclareGap) else item.first_seq + len(item.items) - 1
        )
        if item.first_seq <= last + 1:
            self.last_seq[item.camera] = max(last, end)
        return [Acked(item.camera, item.link, self.last_seq.get(item.camera, 0), self.credits)]


class FakeDirectory:
    """Camera → the actor that `owner` names; `forgotten` lists what was forgotten, `away` makes
    look-ups fail."""

    def __init__(self, owner: Callable[[str], ActorHandle | None]) -> None:
        self.owner = owner
        self.forgotten: list[str] = []
        self.lookups: list[list[str]] = []
        self.away = False

    async def locate(self, cameras: Sequence[str]) -> dict[str, ActorHandle]:
        """The handles of those that have one."""
        self.lookups.append(list(cameras))
        if self.away:
            raise Unavailable("the supervisor does not answer")
        return {camera: handle for camera in cameras if (handle := self.owner(camera)) is not None}

    async def living(self, name: str) -> ActorHandle | None:
        """The owner of that name, taking names of cameras and actors for the same."""
        return self.owner(name)

    def forget(self, name: str) -> None:
        """Note it."""
        self.forgotten.append(name)
