"""How hubs reach camera actors, whatever carries the calls."""

from collections.abc import Sequence
from typing import Protocol

from actors.core.messages.deliveries import Answer


class LinkUser(Protocol):
    """Who made a link, and is told by it. Nothing is told after it was closed or lost."""

    def answered(self, answers: Sequence[Answer]) -> None:
        """Answers came, in their order."""

    def writable(self) -> None:
        """A link that was full takes items again."""

    def lost(self, reason: str) -> None:
        """It is over: the actor is gone, silent, or spoke nonsense."""


class Link(Protocol):
    """One connection of a hub to one actor process. What is sent arrives in its order, or not at
    all from some point on; then the link is lost."""

    @property
    def full(self) -> bool:
        """It holds enough: send again when told `writable`."""

    def send(self, items: Sequence[bytes]) -> None:
        """Encoded items (`actors.core.messages.deliveries`). Never waits."""

    def owed(self, owed: bool) -> None:
        """Whether answers are due: only then is an actor that says nothing taken for lost."""

    def close(self) -> None:
        """End it at once."""

    def end(self) -> None:
        """End it once everything that was sent has left this process."""

    async def finish(self) -> None:
        """The same, and wait for it."""


class ActorControl(Protocol):
    """What a hub asks of one actor process beside its link."""

    name: str

    async def refresh(self, cameras: Sequence[str]) -> dict[str, int]:
        """The registry changed these cameras: read it now. Camera → the scene version in force, of
        those hosted there.

        Raises Unavailable. The process looks by itself every few seconds too.
        """

    async def reset_counts(
        self, camera: str, lines: Sequence[str] | None, reason: str | None
    ) -> str:
        """Let lines (None: all) of a camera hosted there count from zero; the id of the committed
        event. Raises NotFound, Unavailable."""

    async def clear_alert(self, camera: str, rule: str, place: str) -> str:
        """End the raised alert of a camera hosted there; the id of the committed event. Raises
        Conflict, Unavailable."""

    async def replay(self, letter: int, by: str) -> str:
        """Replay a dead letter of a camera hosted there; the id of its committed event. Raises
        NotFound, Conflict, Unavailable."""


class ActorHandle(ActorControl, Protocol):
    """One actor process, where it takes links."""

    async def connect(self, hub: str, user: LinkUser) -> Link:
        """A link of the hub process `hub` to it. Raises Unavailable when it is gone or too slow."""


class Directory(Protocol):
    """Finds (and has started) the actor of a camera. A subscription never activates a camera; a
    hello does."""

    async def locate(self, cameras: Sequence[str]) -> dict[str, ActorHandle]:
        """Camera → handle of its owner, starting actors where none is. Missing: could not be had in
        time, with the reason in the log."""

    async def living(self, name: str) -> ActorControl | None:
        """The process `name` (an owner in PostgreSQL) if it lives; starts nothing. Raises
        Unavailable when nobody can say."""

    def forget(self, name: str) -> None:
        """The actor `name` failed or answered `NOT_OWNER`: look its cameras up afresh next time."""
