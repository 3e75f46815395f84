"""What waits for one camera actor in a hub, and the calls to it: bounded, batched, at most two in
flight (design section 10)."""

import asyncio
import logging
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import msgspec

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
from actors.ports import ActorHandle
from hub.ingest.fair_queue import FairQueue

MAX_QUEUE_ITEMS = 8_192  # items waiting for one actor
MAX_QUEUE_BYTES = 8 * 1024 * 1024  # encoded bytes waiting for one actor
MAX_CALLS = 2  # calls in flight to one actor
MAX_ENTRIES = 65_535  # of a msgpack array with a 16-bit length, as a call is
_HEADER_BYTES = 40  # at most: the array's header and the call's number

log = logging.getLogger("eyrie.hub.pump")


@dataclass(slots=True)
class PumpCounts:
    """What the hub's metrics read. All grow only, but `queued_bytes`."""

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
        """A call failed or took too long."""

    def answered(self, actor: "ActorQueue", answers: Iterable[Answer]) -> None:
        """The answers of one call."""

    def current(self, attach_key: tuple[str, str]) -> Attach | None:
        """The attach of (camera, link) as it would be sent again now."""

    def retire(self, actor: "ActorQueue") -> bool:
        """True when no camera needs the actor any more."""


class ActorQueue:
    """What waits for one actor, and the calls to it."""

    def __init__(self, pump: Owner, handle: ActorHandle, settings: HubSettings) -> None:
        self.name = handle.name
        self._pump = pump
        self._handle = handle
        self._linger_s = settings.linger_s
        self._timeout_s = settings.call_timeout_s
        self._queue = FairQueue()
        self._urgent = False
        self._since = 0.0
        self._sent = 0.0
        self._calls: set[asyncio.Task[None]] = set()
        self._unacked: dict[tuple[str, str], int] = {}
        self._again: dict[tuple[str, str], None] = {}
        self._wake = asyncio.Event()
        self._over = False
        self._name_of_calls = secrets.token_hex(4)
        self._number = 0

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
        if not self._queue:
            self._since = time.monotonic()
        self._queue.put(item.camera, encoded)
        self._pump.counts.queued_bytes += len(encoded)
        self._urgent |= urgent
        self._note(key, item)
        self._wake.set()

    def idle_when_sent(self) -> None:
        """Some camera left: end once nothing is queued, when it was the last."""
        self._wake.set()

    async def stop(self, grace_s: float) -> None:
        """Wait until the queue is sent, at most `grace_s`, then end."""
        self._unacked.clear()
        self._again.clear()
        self._urgent = True
        self._wake.set()
        try:
            async with asyncio.timeout(grace_s):
                while self._queue or self._calls:
                    if self._calls:
                        await asyncio.wait(self._calls, return_when=asyncio.FIRST_COMPLETED)
                    await asyncio.sleep(0)
        except TimeoutError:
            log.warning(
                "actor %s did not take the last %d items in time; their edges keep them",
                self.name,
                len(self._queue),
            )
        self._end()

    async def drive(self) -> None:
        """Send calls for as long as this actor is in use."""
        while not self._over:
            self._wake.clear()
            pause = self._pause()
            if pause == 0.0:
                self._send()
                continue
            if (
                pause is None
                and not self._queue
                and not self._calls
                and not self._unacked
                and self._pump.retire(self)
            ):
                return
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _pause(self) -> float | None:
        """Seconds until the next call may go; None: not before something happens."""
        if len(self._calls) >= MAX_CALLS:
            return None
        if self._queue:
            if self._urgent or self._queue.bytes >= deliveries.MAX_CALL_BYTES // 2:
                return 0.0
            return max(0.0, self._since + self._linger_s - time.monotonic())
        if not self._unacked or self._calls:
            return None
        return max(0.0, self._sent + self._linger_s - time.monotonic())

    def _send(self) -> None:
        batch = self._queue.take(deliveries.MAX_CALL_BYTES - _HEADER_BYTES, MAX_ENTRIES - 1)
        self._pump.counts.queued_bytes -= sum(map(len, batch))
        self._sent = self._since = time.monotonic()
        if not self._queue:
            self._urgent = False
            self._attach_again()
        self._pump.counts.calls += 1
        self._pump.counts.items += len(batch)
        self._number += 1
        numbered = deliveries.encoder.encode(deliveries.Numbered(self._name_of_calls, self._number))
        payload = b"".join((b"\xdc", (len(batch) + 1).to_bytes(2, "big"), numbered, *batch))
        call = asyncio.get_running_loop().create_task(self._call(payload))
        self._calls.add(call)
        call.add_done_callback(self._called)

    async def _call(self, payload: bytes) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await self._handle.deliver(self._pump.hub, payload)
            answers = deliveries.answers_decoder.decode(reply)
        except TimeoutError:
            self._fail(f"no answer within {self._timeout_s:g} s")
        except (EyrieError, msgspec.MsgspecError) as error:
            self._fail(str(error))
        else:
            for answer in answers:
                self._settle(answer)
            self._pump.answered(self, answers)

    def _called(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._wake.set()
        if not call.cancelled() and (error := call.exception()) is not None:
            self._fail(repr(error))

    def _fail(self, reason: str) -> None:
        self._end()
        self._pump.failed(self, reason)

    def _end(self) -> None:
        self._over = True
        self._pump.counts.queued_bytes -= self._queue.bytes
        self._queue.clear()
        for call in self._calls - {asyncio.current_task()}:
            call.cancel()
        self._wake.set()

    def _note(self, key: tuple[str, str], item: Item) -> None:
        """Remember what an answer is owed for: while there is any, one call stays parked at the
        actor."""
        match item:
            case Attach():
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
