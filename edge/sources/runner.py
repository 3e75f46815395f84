"""Runs a source: receipts of an origin through a mapping into the spools of an edge client.

A round takes what has come, maps it, writes one journal record and syncs it, gives the
observations to the spools, and acknowledges. So what is acknowledged is on disk, and a crash
anywhere leaves each receipt either with its origin, whose redelivery the mapping knows, or in the
journal (`edge.sources.journal`).
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from actors.core.errors import BadInput, EyrieError, Forbidden, NotFound, TooMany, Unavailable
from actors.core.messages.object_faults import Faults
from actors.core.times import to_us
from edge import messages
from edge.adapters.readings import RefusedInput, camera_id
from edge.client import CAPACITY_BYTES, EdgeClient
from edge.sources.journal import MAX_BYTES, Entry, SourceJournal, SpooledItem, repair
from edge.sources.mqtt import Delivery
from edge.sources.receipts import Given, Mapping, Memory, Outcome, Presence
from edge.stream import Stream
from edge.window import MAX_ITEM_BYTES

ROUND = 512  # receipts of one round
RETRY_S = 1.0  # between tries while the disk refuses
IDLE_S = 5.0  # the longest wait for receipts

log = logging.getLogger("eyrie.sources")


class Origin(Protocol):
    """Where receipts come from."""

    async def receive(self, most: int, timeout_s: float | None) -> list[Delivery]:
        """What came."""
        ...

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """These are taken over."""
        ...


class SourceCounts(msgspec.Struct):
    """Receipts and what became of them. `unconfirmed`: came with QoS 0, so the origin would not
    have sent them again; `again`: the origin sent them a second time. `lag_s` of the last
    observation: our clock less its capture time."""

    received: int = 0
    unconfirmed: int = 0
    again: int = 0
    observations: int = 0
    lag_s: float = 0.0
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    last_error: str = ""


class SourceFolders(msgspec.Struct, frozen=True):
    """The folder of a source: `journal` and the `spool` of its edge client."""

    journal: Path
    spool: Path

    @classmethod
    def under(cls, root: Path) -> "SourceFolders":
        """Both under `root`."""
        return cls(root / "journal", root / "spool")


class SourceRunner:
    """`named`: the camera's id for its name at the origin, None for one that is not wanted."""

    def __init__(
        self,
        journal: SourceJournal,
        memory: Memory,
        mapping: Mapping,
        client: EdgeClient,
        named: Callable[[str], str | None] = camera_id,
    ) -> None:
        self.counts = SourceCounts()
        self.cameras: dict[str, Stream] = {}  # by their names at the origin
        self._journal = journal
        self._memory = memory
        self._mapping = mapping
        self._client = client
        self._named = named
        self._names: dict[str, str] = {}  # camera id → name at the origin

    async def run(self, origin: Origin) -> None:
        """For ever. Raises what ends the whole source: the hub refuses its token, or another
        process took its cameras over."""
        while True:
            deliveries = await origin.receive(ROUND, self._wait_s())
            await self.round(deliveries)
            origin.acknowledge(deliveries)

    async def begin(self) -> None:
        """Open what was known before a restart."""
        for outcome in self._mapping.present():
            if isinstance(outcome, Presence):
                await self._presence(outcome.source, outcome.reason)

    async def round(self, deliveries: Sequence[Delivery]) -> None:
        """Take these over: afterwards they may be acknowledged."""
        placed: list[SpooledItem] = []
        work: list[tuple[Stream, SpooledItem, Faults]] = []
        for stream in self.cameras.values():
            if stream.error is not None:
                self._fatal(stream, stream.error, count=False)
        places: dict[str, int] = {}
        presences: list[tuple[str, str | None]] = []
        counts = self.counts
        for delivery in deliveries:
            counts.received += 1
            counts.unconfirmed += not delivery.qos
            counts.again += delivery.receipt.again
            try:
                outcomes = self._mapping.receive(delivery.receipt)
            except RefusedInput as refused:
                self._refuse(refused.code, refused.detail)
                outcomes = []
            placed += await self._placed(outcomes, places, work, presences)
        outcomes = self._mapping.due(time.time_ns() // 1_000)
        placed += await self._placed(outcomes, places, work, presences)
        if placed or self._memory.changed:
            await self._write(Entry(self._memory.changes(), placed))
        await self._spool(work)
        for name, reason in presences:
            await self._presence(name, reason)
        if self._journal.size > MAX_BYTES:
            await self.rewrite()

    async def rewrite(self) -> None:
        """Bring the spools to the disk and begin a new journal."""
        try:
            for stream in list(self.cameras.values()):
                await asyncio.to_thread(stream.sync)
            await asyncio.to_thread(self._journal.rewrite, dict(self._memory.kept))
        except Unavailable as error:
            self._trouble(error.detail)

    def _wait_s(self) -> float:
        due = self._mapping.due_us()
        if due is None:
            return IDLE_S
        return min(max((due - time.time_ns() // 1_000) / 1_000_000, 0.0), IDLE_S)

    async def _placed(
        self,
        outcomes: Sequence[Outcome],
        places: dict[str, int],
        work: list[tuple[Stream, SpooledItem, Faults]],
        presences: list[tuple[str, str | None]],
    ) -> list[SpooledItem]:
        """The observations of one receipt; `places`: the next seq of each camera in this round."""
        placed: list[SpooledItem] = []
        for outcome in outcomes:
            if not isinstance(outcome, Given):
                presences.append((outcome.source, outcome.reason))
                continue
            stream = await self._stream(outcome.source)
            if stream is None:
                continue
            observation = outcome.observation
            try:
                body, faults = messages.encode_body(observation)
            except BadInput as error:
                self._refuse("bad_observation", error.detail)
                continue
            if len(body) > MAX_ITEM_BYTES:
                self._refuse("too_large", f"an observation of {len(body)} bytes")
                continue
            seq = places.get(stream.camera, stream.next_seq)
            places[stream.camera] = seq + 1
            is_alarm = observation.alarm is not None
            one = SpooledItem(stream.camera, stream.session, seq, is_alarm, body)
            placed.append(one)
            work.append((stream, one, faults))
            self.counts.observations += 1
            self.counts.lag_s = round(time.time() - to_us(observation.time) / 1_000_000, 3)
        return placed

    async def _write(self, entry: Entry) -> None:
        while True:
            try:
                await asyncio.to_thread(self._journal.append, entry)
                return
            except Unavailable as error:  # the origin waits with us
                self._trouble(error.detail)
                await asyncio.sleep(RETRY_S)

    async def _spool(self, work: list[tuple[Stream, SpooledItem, Faults]]) -> None:
        moved = False
        for stream, placed, faults in work:
            while True:
                session = stream.session
                try:
                    seq = stream.append(placed.body, faults, alarm=placed.alarm)
                except TooMany as error:  # alarms alone fill it: they wait for acks
                    self._trouble(error.detail)
                    await stream.changed()
                except Unavailable as error:
                    self._trouble(error.detail)
                    await asyncio.sleep(RETRY_S)
                except EyrieError as error:
                    self._fatal(stream, error)
                    break
                else:
                    moved = moved or (session, seq) != (placed.session, placed.seq)
                    break
        if moved:  # the places that the journal told are not those that they got
            await self.rewrite()

    def _fatal(self, stream: Stream, error: EyrieError, *, count: bool = True) -> None:
        """A camera that is not let in costs itself; anything else ends the source."""
        if not isinstance(error, NotFound | Forbidden):
            raise error
        if count:
            self._refuse(error.code, f"camera {stream.camera}: {error.detail}")

    async def _stream(self, name: str) -> Stream | None:
        known = self.cameras.get(name)
        if known is not None:
            return known
        camera = self._named(name)
        if camera is None:
            self._refuse("not_wanted", f"camera {name[:64]!r}")
            return None
        if self._names.setdefault(camera, name) != name:
            self._refuse("camera_clash", f"{name[:64]!r} and {self._names[camera]!r} are {camera}")
            return None
        stream = self.cameras[name] = await self._client.open(camera)
        return stream

    async def _presence(self, name: str, reason: str | None) -> None:
        stream = await self._stream(name)
        if stream is None:
            return
        if reason is None:
            stream.come_back()
        else:
            stream.leave(reason)

    def _refuse(self, code: str, detail: str) -> None:
        if not self.counts.refused[code]:
            log.warning("%s: %s (told once)", code, detail)
        self.counts.refused[code] += 1
        self.counts.last_error = f"{code}: {detail}"

    def _trouble(self, detail: str) -> None:
        log.warning("%s", detail)
        self.counts.last_error = detail


def open_journal(
    folders: SourceFolders, capacity: int = CAPACITY_BYTES
) -> tuple[SourceJournal, Memory, int]:
    """The journal with its memory, after the spools were repaired from it, and how many
    observations that added (blocks; before the edge client opens the spools)."""
    journal = SourceJournal(folders.journal)
    added = repair(folders.spool, journal.placed, capacity)
    journal.placed.clear()
    return journal, Memory(journal.memory), added
