"""Origins that tell of frames: put in order, parts of one frame joined, each message once (pure).

A format reads a message as readings of cameras (`edge.adapters.readings`). Frames of a camera wait
behind a watermark of capture time (`edge.sorting`) and lie in the memory meanwhile, so they are on
disk. When nothing comes for the lateness, on our clock, what waits is said. A message that the
origin sends again is known by its hash while it waits, and by its capture time afterwards. An alarm
without a frame waits for nothing.
"""

import hashlib
from collections import Counter
from typing import Protocol

import msgspec

from actors.core.messages.observations import Observation
from actors.core.times import to_us
from edge.adapters.readings import Reading, ReadMessage, RefusedInput, Rejection
from edge.replay_account import frames, told
from edge.sorting import WATERMARK_S, Sorted, Sorter
from edge.sources.receipts import Given, Memory, Outcome, Receipt

MAX_CAMERAS = 1_024
ALARMS_KEPT = 1_024  # hashes of alarms that were said
MAX_NAME = 256  # characters of a camera's name


class FrameFormat(Protocol):
    """How an origin writes. `CANNOT_TELL`: what it does not say."""

    CANNOT_TELL: tuple[str, ...]

    def read(self, receipt: Receipt) -> list[Reading]:
        """What a message tells. Raises :class:`RefusedInput`."""
        ...


class WaitingFrame(msgspec.Struct, frozen=True):
    """A reading that is not in order yet."""

    source: str
    observation: Observation
    part: bool


class CameraOrder(msgspec.Struct):
    """`newest_us` that came and `released_us` that was said last, capture time; `heard_us`: our
    clock."""

    newest_us: int = 0
    released_us: int = 0
    heard_us: int = 0


class FrameMapping:
    """One origin of frames, with any number of cameras."""

    def __init__(
        self, frame_format: FrameFormat, memory: Memory, lateness_s: float = WATERMARK_S
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.CANNOT_TELL = frame_format.CANNOT_TELL
        self._format = frame_format
        self._memory = memory
        self._lateness_s = lateness_s
        self._orders = memory.under("order/", CameraOrder)
        self._sorters: dict[str, Sorter[str]] = {}
        self._waiting: dict[str, WaitingFrame] = memory.under("wait/", WaitingFrame)
        self._alarms = memory.under("alarm/", int)
        self._since: dict[str, int] = {}  # cameras with something waiting → when it is said anyway
        self._restored: list[tuple[str, Sorted[str]]] = []
        for name, order in self._orders.items():
            sorter = self._sorters[name] = Sorter(lateness_s)
            sorter.resume(order.newest_us, order.released_us)
        for key, found in self._waiting.items():
            again = self._sorters[found.source].push(to_us(found.observation.time), key)
            self._restored.append((found.source, again))
            self._await(found.source, self._orders[found.source].heard_us)

    @property
    def cameras(self) -> list[str]:
        """All that were heard of."""
        return sorted(self._orders)

    def present(self) -> list[Outcome]:
        """Such an origin does not tell."""
        return []

    def receive(self, receipt: Receipt) -> list[Outcome]:
        """What a message tells of frames that are in order now. Raises :class:`RefusedInput`, when
        nothing in it can be used."""
        said: list[Outcome] = []
        readings = self._format.read(receipt)
        digest = hashlib.sha256(receipt.topic.encode() + b"\0" + receipt.payload).hexdigest()[:32]
        for index, reading in enumerate(readings):
            if isinstance(reading, Rejection):
                if len(readings) == 1:
                    raise RefusedInput(reading.code, reading.detail)
                self.counts[reading.code] += 1
            else:
                said += self._arrived(reading, receipt, f"{digest}{index}")
        return said

    def due(self, now_us: int) -> list[Outcome]:
        """What waited for company in vain."""
        restored, self._restored = self._restored, []
        said = [one for name, found in restored for one in self._said(name, found)]
        for name in [name for name, due_us in self._since.items() if due_us <= now_us]:
            said += self._said(name, self._sorters[name].flush())
            del self._since[name]
        return said

    def due_us(self) -> int | None:
        """When the next such wait is over."""
        return min(self._since.values(), default=None)

    def _arrived(self, reading: ReadMessage, receipt: Receipt, key: str) -> list[Outcome]:
        name = reading.source
        order = self._orders.get(name)
        if order is None:
            if not 0 < len(name) <= MAX_NAME or len(self._orders) >= MAX_CAMERAS:
                raise RefusedInput("no_camera", f"no name, or more than {MAX_CAMERAS} cameras")
            order = self._orders[name] = CameraOrder()
            self._sorters[name] = Sorter(self._lateness_s)
        moment = to_us(reading.observation.time)
        is_frame = reading.observation.objects is not None
        was_said = receipt.again and is_frame and moment <= order.released_us
        if key in self._waiting or was_said:
            self.counts["duplicate"] += 1
            return []
        if not is_frame:
            return self._alarm(
                reading, order, key, is_new=not receipt.again and not receipt.payload
            )
        found = WaitingFrame(name, told(reading), reading.part)
        self._waiting[key] = found
        self._memory.keep(f"wait/{key}", found)
        order.newest_us = max(order.newest_us, moment)
        order.heard_us = receipt.received_us
        said = self._said(name, self._sorters[name].push(moment, key))
        self._await(name, receipt.received_us)
        return said

    def _alarm(
        self, reading: ReadMessage, order: CameraOrder, key: str, *, is_new: bool
    ) -> list[Outcome]:
        """Messages of no bytes are all alike: only what is sent again is known by its hash then."""
        if key in self._alarms and not is_new:
            self.counts["duplicate"] += 1
            return []
        self._alarms[key] = 1
        self._memory.keep(f"alarm/{key}", 1)
        self._memory.keep(f"order/{reading.source}", order)
        while len(self._alarms) > ALARMS_KEPT:
            oldest = next(iter(self._alarms))
            del self._alarms[oldest]
            self._memory.forget(f"alarm/{oldest}")
        return [Given(reading.source, reading.observation)]

    def _await(self, name: str, heard_us: int) -> None:
        self._since[name] = heard_us + round(self._lateness_s * 1_000_000)

    def _said(self, name: str, found: Sorted[str]) -> list[Outcome]:
        order = self._orders[name]
        ready = []
        for key in found.ready:
            waiting = self._let_go(key)
            ready.append(ReadMessage(name, waiting.observation, part=waiting.part))
            order.released_us = to_us(waiting.observation.time)
        for key in found.late:
            self._let_go(key)
            self.counts["late"] += 1
        if found.steps:
            self.counts["clock_steps"] += len(found.steps)
            order.newest_us = order.released_us
        self._memory.keep(f"order/{name}", order)
        return [Given(name, seen.observation) for seen, _ in frames(ready)]

    def _let_go(self, key: str) -> WaitingFrame:
        self._memory.forget(f"wait/{key}")
        return self._waiting.pop(key)
