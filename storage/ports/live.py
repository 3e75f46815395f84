"""What is asked of Redis: live states and events on their way from actors to hubs."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import msgspec


class LiveState(msgspec.Struct, frozen=True, array_like=True):
    """A state to show: `body` is the JSON of `actors.core.messages.states.State`."""

    site: str
    camera: str
    generation: int
    version: int
    offset: int
    body: bytes


class LiveEvent(msgspec.Struct, frozen=True, array_like=True):
    """A committed event to show: `body` is `actors.core.messages.events.published`."""

    site: str
    camera: str
    generation: int
    epoch: str
    offset: int
    body: bytes


class LiveSummary(msgspec.Struct, frozen=True, array_like=True):
    """One camera's line in a wall tick, or in a heartbeat (then `body` is empty)."""

    camera: str
    generation: int
    version: int
    offset: int
    body: bytes = b""


class BrokerMessage(msgspec.Struct, frozen=True, array_like=True):
    """What a hub receives from Redis. `kind`: ``state``, ``event``, ``summaries``, ``heartbeat``,
    ``notice``, ``canary``, ``operations`` (of the cluster: JSON in `body`).

    `entries` is set for summaries and heartbeats; the rest for state and event.
    `stream_epoch`/`stream_offset` are the position in the site's Redis stream (events only).
    """

    kind: str
    site: str
    camera: str = ""
    generation: int = 0
    version: int = 0
    epoch: str = ""
    offset: int = 0
    stream_epoch: str = ""
    stream_offset: int = 0
    body: bytes = b""
    entries: list[LiveSummary] = []


class Publisher(Protocol):
    """The actor's side of Redis. Every script refuses a generation lower than the fence; one
    pipeline per call, whatever its size."""

    async def raise_fences(self, entries: Sequence[tuple[str, str, int]]) -> None:
        """(site, camera, generation): from now on lower generations are refused. Part of every
        activation."""

    async def publish(
        self,
        states: Sequence[LiveState],
        events: Sequence[LiveEvent],
        summaries: dict[str, list[LiveSummary]],
        heartbeats: dict[str, list[LiveSummary]],
        *,
        unheard: set[str] | None = None,
    ) -> set[str]:
        """Show states, events (idempotent per (camera, epoch, offset), in order), summaries and
        heartbeats by site.

        Returns the refused cameras; adds to `unheard` those whose state was kept and reached no
        subscriber.

        Refused: a lower generation than the fence, or events that would leave a hole after the
        mark. Either way re-read (`CameraStore.ownership`, then `published_marks`) before going on.
        A state not newer than the one shown is dropped silently. Every call may be repeated whole
        after an UnknownOutcome.
        """

    async def show_operations(self, body: bytes) -> None:
        """Show the cluster's operations, in place of those shown before. The supervisor alone calls
        this."""

    async def fences(self, cameras: Sequence[tuple[str, str]]) -> dict[str, int]:
        """(site, camera) → the fence, where Redis has one."""

    async def published_marks(
        self, cameras: Sequence[tuple[str, str]]
    ) -> dict[str, tuple[str, int]]:
        """(site, camera) → the (epoch, offset) last published; missing where Redis has lost it."""

    async def set_marks(self, marks: Sequence[tuple[str, str, int, str, int]]) -> None:
        """(site, camera, generation, epoch, offset): set a lost mark to the row's, nothing
        replayed; the site's stream gets a new epoch."""


class Broker(Protocol):
    """The hub's side of Redis: interest-driven subscriptions."""

    def run(self) -> AsyncIterator[BrokerMessage]:
        """Publications of what is subscribed, one reader at a time: ``async for publication in
        broker.run()``.

        A ``notice`` tells what may have been missed, in its `body`: ``lost`` (no connection now),
        ``resubscribed`` (it is back: compare offsets and versions of everything watched),
        ``overflowed`` (the reader was too slow, the queue was emptied: compare likewise).
        """

    async def watch(self, sites: Sequence[str], cameras: Sequence[tuple[str, str]]) -> None:
        """Subscribe to the summaries, heartbeats and events of sites, and to the states of (site,
        camera). Idempotent.

        Returns when Redis has confirmed. Raises Unavailable when it has not in time; the
        subscription is then carried out on reconnection, which a ``resubscribed`` notice tells.
        """

    async def unwatch(self, sites: Sequence[str], cameras: Sequence[tuple[str, str]]) -> None:
        """The opposite."""

    async def echo(self, name: str, body: bytes) -> None:
        """Publish `body` to a channel that this broker alone is subscribed to: it comes back by
        `run` with the kind ``canary``.

        `name` is unique per hub. Raises Unavailable or UnknownOutcome.
        """

    async def send(self, name: str, body: bytes) -> bool:
        """Send `body` to the hub that echoes under `name`: it gets it by `run` with the kind
        ``canary``. Whether anybody listens.

        Raises Unavailable or UnknownOutcome.
        """

    async def watch_operations(self) -> None:
        """Subscribe to the cluster's operations, for good. Idempotent; returns and raises as
        :meth:`watch` does."""

    async def operations(self) -> bytes:
        """Those shown last, as JSON; empty where none were."""

    async def state(self, site: str, camera: str) -> LiveState | None:
        """The last published state."""

    async def summaries(self, site: str) -> list[LiveSummary]:
        """The last published summary of every camera of a site: what a wall's first message
        holds."""

    async def history(
        self, site: str, camera: str | None, after: int, limit: int, *, begin: bool = False
    ) -> tuple[str, int, list[BrokerMessage]]:
        """(epoch, top offset, events after `after`) of a camera's stream, or the site's when
        `camera` is None.

        A stream that was never numbered, or whose numbering Redis has lost, has an empty epoch. A
        site's gets a numbering now, to `begin` with; it stays empty where Redis takes no writes.
        """
