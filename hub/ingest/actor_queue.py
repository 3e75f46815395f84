"""What waits for one camera actor in a hub, and the link to it: bounded, batched, cameras in turn.

Items go out in the turn of the loop that brought them. Only where the actor holds several of this
hub's cameras they linger (`hub.linger_s`), to go in one frame; alarms and hellos never do.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from actors.core.errors import EyrieError
from actors.core.messages import deliveries
from actors.core.messages.deliveries import (
    Acked,
    Answer,
    Attach,
    Data,
    DeclareGap,
    Detach,
    Dismissed,
    Item,
    Welcomed,
)
from actors.core.settings import HubSettings
from actors.ports import ActorHandle, Link
from hub.ingest.fair_queue import FairQueue

MAX_QUEUE_ITEMS = 8_192  # items waiting for one actor
MAX_QUEUE_BYTES = 8 * 1024 * 1024  # encoded bytes waiting for one actor
MAX_ENTRIES = 65_535  # of a msgpack array with a 16-bit length, as a frame's payload is

log = logging.getLogger("eyrie.hub.pump")


@dataclass(slots=True)
class PumpCounts:
    """What the hub's metrics read. All grow only, but `queued_bytes`. A call is a frame of items, a
    failed one a lost link."""

    calls: int = 0
    failed_calls: int = 0
    items: int = 0
    dropped: int = 0
    reattached: int = 0
    queued_bytes: int = 0


class Owner(Protocol):
    """What a queue asks of the pump."""

    hub: str
    counts: PumpCounts

    def failed(self, actor: "ActorQueue", reason: str) -> None:
        """There is no link, or it was lost."""

    def answered(self, actor: "ActorQueue", answers: Iterable[Answer]) -> None:
        """Answers of the actor."""

    def current(self, attach_key: tuple[str, str]) -> Attach | None:
        """The attach of (camera, link) as it would be sent again now."""

    def retire(self, actor: "ActorQueue") -> bool:
        """True when no camera needs the actor any more."""


class ActorQueue:
    """What waits for one actor, and the link to it (`actors.ports.LinkUser`)."""

    def __init__(self, pump: Owner, handle: ActorHandle, settings: HubSettings) -> None:
        self.name = handle.name
        self._pump = pump
        self._handle = handle
        self._linger_s = settings.linger_s
        self._queue = FairQueue()
        self._cameras: set[str] = set()
        self._unacked: dict[tuple[str, str], int] = {}
        self._again: dict[tuple[str, str], None] = {}
        self._link: Link | None = None
        self._due: asyncio.Handle | None = None
        self._hurry = False
        self._over = False
        self._empty = asyncio.Event()

    async def connect(self) -> None:
        """Make the link; what was put meanwhile goes out. Once."""
        try:
            link = await self._handle.connect(self._pump.hub, self)
        except EyrieError as error:
            self.lost(error.detail)
            return
        if self._over:
            link.close()
            return
        self._link = link
        self._send()

    def put(self, item: Item, *, urgent: bool) -> None:
        """Queue `item`, or note that its link must attach again when there is no room."""
        key = (item.camera, item.link)
        data = isinstance(item, Data | DeclareGap)
        if data and key in self._again:
            self._pump.counts.dropped += 1
            return
        encoded = deliveries.encoder.encode(item)
        if data and (
            len(self._queue) >= MAX_QUEUE_ITEMS
            or self._queue.bytes + len(encoded) > MAX_QUEUE_BYTES
        ):
            self._again[key] = None
            self._pump.counts.dropped += 1
            return
        self._queue.put(item.camera, encoded)
        self._pump.counts.queued_bytes += len(encoded)
        self._note(key, item)
        self._schedule(
            urgent or len(self._cameras) < 2 or self._queue.bytes >= deliveries.MAX_BATCH_BYTES // 2
        )

    def left(self, camera: str) -> None:
        """`camera` is not of this actor any more: end once nothing is queued, when it was the
        last."""
        self._cameras.discard(camera)
        self._schedule(True)

    async def stop(self, grace_s: float) -> None:
        """Wait until the queue is sent, at most `grace_s`, then end."""
        self._unacked.clear()
        self._again.clear()
        self._schedule(True)
        try:
            async with asyncio.timeout(grace_s):
                while self._queue and not self._over:
                    self._empty.clear()
                    await self._empty.wait()
                if self._link is not None:
                    await self._link.finish()
        except TimeoutError:
            if self._queue:
                log.warning(
                    "actor %s did not take the last %d items in time; their edges keep them",
                    self.name,
                    len(self._queue),
                )
        self._end()

    def answered(self, answers: Sequence[Answer]) -> None:
        if self._over:
            return
        for answer in answers:
            self._settle(answer)
        if self._link is not None:
            self._link.owed(bool(self._unacked))
        self._pump.answered(self, answers)
        self._retire_if_idle()

    def writable(self) -> None:
        self._send()

    def lost(self, reason: str) -> None:
        if not self._over:
            self._end()
            self._pump.failed(self, reason)

    def _schedule(self, now: bool) -> None:
        """Send in this turn of the loop, or after the linger."""
        if self._over or (self._due is not None and (self._hurry or not now)):
            return
        if self._due is not None:
            self._due.cancel()
        loop = asyncio.get_running_loop()
        self._hurry = now or self._linger_s == 0.0
        self._due = (
            loop.call_soon(self._send)
            if self._hurry
            else loop.call_later(self._linger_s, self._send)
        )

    def _send(self) -> None:
        """All that the link takes now."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        link = self._link
        if link is None or self._over:
            return
        while self._queue and not link.full:
            batch = self._queue.take(deliveries.MAX_BATCH_BYTES, MAX_ENTRIES)
            self._pump.counts.queued_bytes -= sum(map(len, batch))
            self._pump.counts.calls += 1
            self._pump.counts.items += len(batch)
            link.send(batch)
            if not self._queue:
                self._attach_again()
        link.owed(bool(self._unacked))
        if not self._queue:
            self._empty.set()
            self._retire_if_idle()

    def _retire_if_idle(self) -> None:
        """End in order when nothing is queued or due and no camera is here any more."""
        if self._over or self._queue or self._unacked or self._link is None:
            return
        if not self._cameras and self._pump.retire(self):
            self._over = True
            self._link.end()

    def _end(self) -> None:
        self._over = True
        self._pump.counts.queued_bytes -= self._queue.bytes
        self._queue.clear()
        self._empty.set()
        if self._due is not None:
            self._due.cancel()
        if self._link is not None:
            self._link.close()

    def _note(self, key: tuple[str, str], item: Item) -> None:
        """Remember what an answer is owed for: while there is any, the actor may not be silent."""
        match item:
            case Attach():
                self._cameras.add(item.camera)
                self._unacked[key] = max(0, self._unacked.get(key, 0))
            case Data():
                self._unacked[key] = item.first_seq + len(item.items) - 1
            case DeclareGap():
                self._unacked[key] = item.last_seq
            case Detach():
                self._unacked.pop(key, None)
                self._again.pop(key, None)

    def _settle(self, answer: Answer) -> None:
        key = (answer.camera, answer.link)
        match answer:
            case Acked():
                if self._unacked.get(key, answer.seq + 1) <= answer.seq:
                    del self._unacked[key]
            case Welcomed():
                if self._unacked.get(key, answer.resume_from) < answer.resume_from:
                    del self._unacked[key]
            case Dismissed():
                self._unacked.pop(key, None)
                self._again.pop(key, None)

    def _attach_again(self) -> None:
        """There is room again: links whose data was dropped ask the actor where to go on."""
        again, self._again = self._again, {}
        for key in again:
            attach = self._pump.current(key)
            if attach is not None:
                self._pump.counts.reattached += 1
                self.put(attach, urgent=True)
