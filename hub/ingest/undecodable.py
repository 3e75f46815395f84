"""Frames of edges that nobody could decode: kept as dead letters in batches, at a bounded rate,
apart from the sockets they came on.

A socket that sends such frames is soon closed; what it sent is kept all the same. What is not kept
is counted with the reason.
"""

import asyncio
import logging
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable

from actors.core.errors import EyrieError, Unavailable, UnknownOutcome
from actors.core.settings import DeadLettersSettings
from actors.core.token_bucket import Bucket
from storage.ports.dead_letters import DeadLetterStore, NewLetter

FRAME_BYTES = 16_384  # of raw bytes for each frame that the settings allow
MAX_WAITING = 2_000  # frames that wait for the store
MAX_WAITING_BYTES = 32 * 1_048_576
MAX_BATCH = 200  # frames in one statement
MAX_BATCH_BYTES = 4 * 1_048_576
MAX_DEVICES = 4_096  # whose rate is remembered; beyond that the one heard longest ago is forgotten
RETRY_S = 1.0  # after the store was away
TOLD_S = 60.0  # between two lines of the log
NOTED_S = 600.0  # how long health tells of the last frame that was not kept

log = logging.getLogger("eyrie.hub.undecodable")


class UndecodableFrames:
    """The frames of one hub. `seen`, `kept`: how many; `lost`: reason → how many. Use it in one
    event loop only."""

    def __init__(
        self,
        letters: DeadLetterStore,
        settings: DeadLettersSettings,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seen = 0
        self.kept = 0
        self.lost: Counter[str] = Counter()
        self._letters = letters
        self._settings = settings
        self._now = now
        self._hub = _Allowance(settings.hub_per_s, settings.hub_burst, now())
        self._devices: OrderedDict[str, _Allowance] = OrderedDict()
        self._waiting: deque[NewLetter] = deque()
        self._bytes = 0  # of those that wait
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None
        self._lost_at = float("-inf")
        self._told_at = float("-inf")

    def start(self) -> None:
        """Begin to write. Needs a running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="undecodable-frames")

    async def stop(self, grace_s: float) -> None:
        """Write what waits, for at most `grace_s`; the rest is lost."""
        if self._task is None:
            return
        try:
            async with asyncio.timeout(grace_s):
                await self._idle.wait()
        except TimeoutError:
            log.warning(
                "%d undecodable frames are lost: the store did not take them before the hub "
                "stopped",
                len(self._waiting),
            )
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for _ in self._waiting:
            self._lose("stopped")
        self._waiting.clear()

    def put(self, device: str, letter: NewLetter) -> None:
        """Keep this frame of `device` (a token's subject; empty: nobody who has shown a valid
        token, whose frames are only counted)."""
        self.seen += 1
        reason = self._refusal(device, len(letter.raw))
        if reason:
            self._lose(reason)
            return
        self._waiting.append(letter)
        self._bytes += len(letter.raw)
        self._idle.clear()
        self._wake.set()

    def note(self) -> str | None:
        """What health says: that frames were not kept lately, and why."""
        if self._now() - self._lost_at > NOTED_S:
            return None
        reasons = ", ".join(
            f"{count} for {reason}"
            for reason, count in sorted(self.lost.items())
            if reason != "stranger"
        )
        return f"undecodable frames of edges were not kept: {reasons}"

    def _refusal(self, device: str, size: int) -> str:
        if not device:
            return "stranger"
        now = self._now()
        known = self._devices.get(device)
        if known is None:
            known = self._devices[device] = _Allowance(
                self._settings.device_per_s, self._settings.device_burst, now
            )
            if len(self._devices) > MAX_DEVICES:
                self._devices.popitem(last=False)
        self._devices.move_to_end(device)
        if not known.take(now, size):
            return "device_rate"
        if not self._hub.take(now, size):
            return "hub_rate"
        if len(self._waiting) >= MAX_WAITING or self._bytes + size > MAX_WAITING_BYTES:
            return "queue"
        return ""

    def _lose(self, reason: str, count: int = 1) -> None:
        self.lost[reason] += count
        if reason == "stranger":
            return
        self._lost_at = now = self._now()
        if now - self._told_at >= TOLD_S:
            self._told_at = now
            log.warning("%s", self.note())

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._write(self._batch())
            self._idle.set()

    def _batch(self) -> list[NewLetter]:
        """What is written next; it stays in the queue until it is."""
        batch: list[NewLetter] = []
        size = 0
        for letter in self._waiting:
            size += len(letter.raw)
            if batch and (len(batch) == MAX_BATCH or size > MAX_BATCH_BYTES):
                break
            batch.append(letter)
        return batch

    async def _write(self, batch: list[NewLetter]) -> None:
        lost = ""
        try:
            await self._letters.add_many(batch)
        except UnknownOutcome:
            lost = "unknown_outcome"  # written again they might be there twice
        except Unavailable as error:
            log.info("undecodable frames wait for the store: %s", error)
            await asyncio.sleep(RETRY_S)
            return
        except EyrieError as error:
            log.error("%d undecodable frames cannot be stored: %s", len(batch), error)
            lost = "store"
        for letter in batch:
            self._waiting.popleft()
            self._bytes -= len(letter.raw)
        if lost:
            self._lose(lost, len(batch))
        else:
            self.kept += len(batch)


class _Allowance:
    """Frames, and the bytes in them."""

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._frames = Bucket(rate, burst, now)
        self._bytes = Bucket(
            rate * FRAME_BYTES, max(burst, 4) * FRAME_BYTES, now
        )  # the largest frame always fits

    def take(self, now: float, size: int) -> bool:
        """Whether one more frame of so many bytes fits; the bytes that are left go to smaller
        ones."""
        return bool(self._frames.draw(now)) and self._bytes.draw(now, size) == size
