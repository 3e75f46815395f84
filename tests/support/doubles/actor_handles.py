"""Doubles of `actors.ports`: an actor that answers as told, and a directory over such actors."""

from collections.abc import Callable, Sequence

from actors.core.errors import EyrieError, Unavailable
from actors.core.messages import deliveries
from actors.core.messages.deliveries import Acked, Answer, Attach, Data, DeclareGap, Item, Welcomed
from actors.links.server import Send
from actors.ports import ActorControl, ActorHandle, Link, LinkUser
from tests.support.doubles.near_link import NearLink, NearLinks


class FakeActor:
    """Answers attaches and acks data at once, in order. Switches: `dead`, `mute`, `full`;
    :meth:`die` ends its links."""

    def __init__(self, name: str, *, credits: int = 100) -> None:
        self.name = name
        self.credits = credits
        self.dead = False  # there is no link to it
        self.mute = False  # data is taken and never acked
        self.full = False  # new links take nothing, until their `full` is reset
        self.last_seq: dict[str, int] = {}
        self.calls: list[list[Item]] = []  # the frames
        self.sizes: list[int] = []  # and their bytes
        self.made: list[NearLink] = []  # every link to it, the newest last
        self.override: Callable[[Item], list[Answer] | None] = lambda item: None
        self.looked: list[str] = []
        self.replayed: list[tuple[int, str]] = []
        self.cleared: list[tuple[str, str, str]] = []
        self.resets: list[tuple[str, Sequence[str] | None, str | None]] = []
        self.refusal: EyrieError | None = None  # what a replay raises
        self._links = NearLinks(self, name)
        self._hubs: dict[str, Send] = {}

    async def refresh(self, cameras: Sequence[str]) -> dict[str, int]:
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

    async def clear_alert(self, camera: str, rule: str, place: str) -> str:
        """Note it."""
        if self.refusal is not None:
            raise self.refusal
        self.cleared.append((camera, rule, place))
        return f"clearing-of-{camera}"

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

    async def connect(self, hub: str, user: LinkUser) -> Link:
        """:meth:`actors.ports.ActorHandle.connect`."""
        if self.dead:
            raise Unavailable(f"{self.name} is gone")
        link = await self._links.connect(hub, user)
        self.made.append(link)
        link.full = self.full
        return link

    def die(self, reason: str = "it closed the link") -> None:
        """Its links are lost, and there are no new ones."""
        self.dead = True
        self._links.break_off(reason)

    def linked(self, hub: str, send: Send) -> None:
        self._hubs[hub] = send

    def unlinked(self, hub: str, send: Send) -> None:
        if self._hubs.get(hub) == send:
            del self._hubs[hub]

    @property
    def linked_hubs(self) -> list[str]:
        """Who has a link now."""
        return list(self._hubs)

    def take(self, items: bytes) -> None:
        """A frame of a hub."""
        batch = deliveries.items_decoder.decode(items)
        self.calls.append(batch)
        self.sizes.append(len(items))
        for item in batch:
            answers = self._answers(item)
            send = self._hubs.get(item.link.rpartition("/")[0])
            if answers and send is not None:
                send(deliveries.encoder.encode(answers))

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

    async def living(self, name: str) -> ActorControl | None:
        """The owner of that name, taking names of cameras and actors for the same."""
        return self.owner(name)

    def forget(self, name: str) -> None:
        """Note it."""
        self.forgotten.append(name)
