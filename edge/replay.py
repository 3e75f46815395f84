"""Streams a recording through the edge socket as one device per camera, and accounts for every
message.

Each camera has a session of its own on one shared socket (a site gateway). Its name is made of the
recording's SHA-256, the options that shape what is sent, and the camera: so a second replay, also
after a crash, resumes where the hub says, and what it skips are duplicates.
"""

import asyncio
import hashlib
import heapq
import ssl
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import msgspec

from actors.core.camera.clocks import STEP_BACK_US
from actors.core.errors import BadInput, EyrieError, TooMany, Unavailable
from actors.core.messages.object_faults import MENDED, Faults, add, of
from actors.core.times import to_us
from edge.adapters.formats import adapter
from edge.adapters.readings import (
    MAX_LINE_BYTES,
    AdapterOptions,
    Reading,
    ReadMessage,
    Rejection,
    camera_id,
)
from edge.client import EdgeClient
from edge.replay_account import ReplayAccount, ReplayProgress, Tally, frames, told
from edge.sorting import PAUSE_US, WATERMARK_S, Sorted, Sorter
from edge.stream import Stream

CHUNK = 256  # readings taken from the adapter at once, in a thread
CAPACITY_BYTES = 1_048_576  # held per camera; the recording itself is the spool
MAX_CAMERAS = 1024  # cameras of one recording: what one socket carries
TICK_S = 0.2  # seconds between progress reports
SHAPE = "3"  # raise it when an adapter or the sorter sends something else for the same recording


class ReplayOptions(msgspec.Struct, frozen=True):
    """What to replay and how. `speed` None is as fast as the hub takes it; else multiples of
    capture time. `again` makes new sessions."""

    path: Path
    format: str
    url: str
    token: str | Callable[[], str]
    fps: float | None = None
    frame_size: tuple[int, int] | None = None
    camera: str | None = None
    speed: float | None = None
    lateness_s: float = WATERMARK_S
    again: str = ""
    stall_s: float = 60.0
    labels: dict[str, str] = {}
    pass_unknown_fields: bool = False
    only: frozenset[str] | None = (
        None  # cameras that may be sent, None for all: the rest is rejected as `unregistered`
    )


def adapter_options(options: ReplayOptions) -> AdapterOptions:
    """What the adapter of a recording is told."""
    return AdapterOptions(
        options.frame_size,
        options.fps,
        options.camera or camera_id(options.path.stem),
        labels=options.labels,
        pass_unknown_fields=options.pass_unknown_fields,
    )


class Replay:
    """One replay. :meth:`run` raises the error that ended it; `account` says where things stand,
    also then."""

    def __init__(
        self,
        options: ReplayOptions,
        *,
        on_reject: Callable[[Rejection], None] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.options = options
        self._tls = tls
        self.account = ReplayAccount()
        self._read = adapter(options.format)
        self._on_reject = on_reject
        self._tally = Tally()
        self._streams: dict[str, Stream] = {}
        self._sorters: dict[str, Sorter[ReadMessage]] = {}
        self._sources: dict[str, str] = {}
        self._refused: dict[str, EyrieError] = {}
        self._read_bytes = 0
        self._total_bytes = 0
        self._digest = ""
        self._paced: dict[
            str, tuple[int, int]
        ] = {}  # camera → its last capture time, and what makes up for the steps of its clock
        self._began: tuple[int, float] | None = None

    async def run(self, report: Callable[[ReplayProgress], None] | None = None) -> ReplayAccount:
        """Replay everything, wait until it is settled, say bye, and return the account."""
        self._digest = await asyncio.to_thread(self._hash)
        client = EdgeClient(
            self.options.url,
            self.options.token,
            on_full="wait",
            capacity=CAPACITY_BYTES,
            give_up_s=self.options.stall_s,
            producer="eyrie-replay",
            tls=self._tls,
        )
        watch = asyncio.create_task(self._watch(report))
        try:
            async with client:
                work = asyncio.create_task(self._stream(client))
                await asyncio.wait([work, watch], return_when=asyncio.FIRST_COMPLETED)
                if not work.done():
                    work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                if not work.cancelled():
                    work.result()
                if watch.done():
                    watch.result()
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            self.account = self._count(client.connections)
            if report is not None:
                report(self._progress())
        return self.account

    def session(self, camera: str) -> str:
        """The session of a camera of this recording."""
        options = self.options
        shape = [
            SHAPE,
            self._digest,
            options.format,
            options.fps,
            options.frame_size,
            options.lateness_s,
            camera,
            options.again,
            sorted(options.labels.items()),
            options.pass_unknown_fields,
        ]
        return "replay-" + hashlib.sha256(msgspec.json.encode(shape)).hexdigest()[:24]

    async def _stream(self, client: EdgeClient) -> None:
        readings = iter(self._read(self._lines(), adapter_options(self.options)))
        while chunk := await asyncio.to_thread(lambda: list(islice(readings, CHUNK))):
            for reading in chunk:
                await self._take(client, reading)
        waiting = []
        for camera, sorter in self._sorters.items():
            rest = self._sorted(camera, sorter.flush())
            waiting.append(
                [(_time_us(seen), camera, seen, messages) for seen, messages in frames(rest)]
            )
        for _, camera, seen, messages in heapq.merge(*waiting, key=_by_time):
            await self._send(camera, seen, messages)
        for camera, stream in self._streams.items():
            try:
                await stream.drain()
            except Unavailable:
                raise
            except EyrieError as error:
                self._refused[camera] = error

    async def _take(self, client: EdgeClient, reading: Reading) -> None:
        self.account.messages += 1
        if isinstance(reading, Rejection):
            self._reject(reading)
            return
        camera = camera_id(reading.source)
        if self.options.camera is not None and self.options.camera not in (reading.source, camera):
            self.account.other_cameras += 1
            return
        if self.options.only is not None and camera not in self.options.only:
            self._reject(
                _back(
                    reading,
                    "unregistered",
                    f"camera {camera} is not registered, and no site was named for it",
                )
            )
            return
        if self._sources.get(camera, reading.source) != reading.source:
            self._reject(
                _back(
                    reading,
                    "camera_clash",
                    f"cameras {self._sources[camera]!r} and {reading.source!r} are both {camera}",
                )
            )
            return
        self._tally.read(reading)
        sorter = self._sorters.get(camera)
        if sorter is None:
            if len(self._sorters) >= MAX_CAMERAS:
                self._reject(
                    _back(
                        reading, TooMany.code, f"more than {MAX_CAMERAS} cameras in one recording"
                    )
                )
                return
            self._sources[camera] = reading.source
            sorter = self._sorters[camera] = Sorter(self.options.lateness_s)
            self._streams[camera] = stream = await client.open(
                camera,
                session=self.session(camera),
                frame_size=self.options.frame_size,
                numbered_elsewhere=True,
            )
            stream.on_reject = lambda _seq, code, _detail: self._tally.rejected.update(
                [f"hub:{code}"]
            )
        for seen, messages in frames(self._sorted(camera, sorter.push(_time_us(reading), reading))):
            await self._send(camera, seen, messages)

    def _sorted(self, camera: str, found: Sorted[ReadMessage]) -> list[ReadMessage]:
        """What is in order; the rest of it is told."""
        for seen in found.late:
            self._reject(
                _back(seen, "late", f"more than {self.options.lateness_s:g} s behind its camera")
            )
        for before_us, after_us in found.steps:
            self._tally.stepped(camera, before_us, after_us)
        return found.ready

    async def _send(self, camera: str, seen: ReadMessage, messages: int) -> None:
        await self._pace(camera, seen)
        stream = self._streams[camera]
        try:
            await stream.send(told(seen))
            self._tally.sent(camera, stream.account.offered, seen, messages)
        except BadInput as error:
            self._reject(_back(seen, error.code, error.detail), messages)
            self._settle_error(camera)
        except Unavailable:
            raise
        except EyrieError as error:
            self._reject(_back(seen, error.code, error.detail), messages)
            self._refused[camera] = error

    def _settle_error(self, camera: str) -> None:
        error = self._streams[camera].error
        if error is not None:
            self._refused[camera] = error

    async def _pace(self, camera: str, seen: ReadMessage) -> None:
        if self.options.speed is None:
            return
        loop = asyncio.get_running_loop()
        moment = _time_us(seen)
        last, shift = self._paced.get(camera, (moment, 0))
        if not last - STEP_BACK_US <= moment <= last + PAUSE_US:
            shift += last - moment  # a clock that was set is not waited for
        self._paced[camera] = (moment, shift)
        moment += shift
        if self._began is None:
            self._began = (moment, loop.time())
        due = self._began[1] + (moment - self._began[0]) / 1_000_000 / self.options.speed
        if (wait := due - loop.time()) > 0:
            await asyncio.sleep(wait)

    def _reject(self, rejection: Rejection, messages: int = 1) -> None:
        self._tally.refused(rejection, messages)
        if self._on_reject is not None:
            self._on_reject(rejection)

    async def _watch(self, report: Callable[[ReplayProgress], None] | None) -> None:
        """Report progress; raise Unavailable when nothing moves while something is under way."""
        loop = asyncio.get_running_loop()
        moved, last = loop.time(), -1
        while True:
            await asyncio.sleep(TICK_S)
            progress = self._progress()
            if report is not None:
                report(progress)
            pending = sum(
                stream.pending for stream in self._streams.values() if stream.error is None
            )
            if progress.settled != last or not (pending or self._unwelcome()):
                moved, last = loop.time(), progress.settled
            elif loop.time() - moved > self.options.stall_s:
                raise Unavailable(
                    f"nothing was acked for {self.options.stall_s:g} s; {pending} messages wait",
                    hint="Look at `eyrie status`; then replay again, it goes on where it stopped.",
                )

    def _unwelcome(self) -> bool:
        return any(
            not stream.welcomed and stream.error is None for stream in self._streams.values()
        )

    def _progress(self) -> ReplayProgress:
        settled = sum(self._tally.rejected.values()) + self.account.other_cameras
        for stream in self._streams.values():
            settled += stream.account.committed + stream.account.duplicate
        return ReplayProgress(self._read_bytes, self._total_bytes, self.account.messages, settled)

    def _count(self, connections: int) -> ReplayAccount:
        account = self.account
        account.connections = connections
        account.cameras = len(self._streams)
        tally = self._tally
        rejected = tally.rejected.copy()
        faults: Faults = {}
        for camera, stream in self._streams.items():
            counts = stream.account
            settled = counts.duplicate + counts.committed
            again = tally.further(camera, counts.duplicate)  # what the hub has already comes first
            account.committed += (
                counts.committed - counts.rejected + tally.further(camera, settled) - again
            )
            account.duplicate += counts.duplicate + again
            account.resent += counts.resent
            add(faults, counts.object_faults)
            left = (
                counts.offered
                - settled
                + tally.further(camera, counts.offered)
                - tally.further(camera, settled)
            )
            error = self._refused.get(camera)
            if error is not None:
                account.refused_cameras[camera] = f"{error.code}: {error.detail}"
                rejected[error.code] += left
            else:
                account.unsettled += left
        account.rejected = {code: count for code, count in sorted(rejected.items()) if count}
        account.frames, account.objects = tally.frames, tally.objects
        account.dropped_objects = dict(sorted(tally.dropped.items()))
        account.mended_objects = of(faults, MENDED)
        account.unknown_fields = dict(sorted(tally.unknown.items()))
        account.remarks = dict(sorted(tally.remarks.items()))
        account.clock_steps, account.clocks_stepped = tally.steps, tally.stepped_count
        return account

    def _hash(self) -> str:
        digest = hashlib.sha256()
        try:
            with open(self.options.path, "rb") as file:
                while chunk := file.read(1_048_576):
                    digest.update(chunk)
                    self._total_bytes += len(chunk)
        except OSError as error:
            raise BadInput(
                f"{self.options.path} cannot be read: {error.strerror}", hint="Check the path."
            ) from error
        return digest.hexdigest()

    def _lines(self) -> Iterator[bytes]:
        """The lines of the recording; one that is too long in several pieces."""
        with open(self.options.path, "rb") as file:
            while line := file.readline(MAX_LINE_BYTES + 2):
                self._read_bytes += len(line)
                yield line


def _time_us(seen: ReadMessage) -> int:
    return to_us(seen.observation.time)


def _by_time(entry: tuple[int, str, ReadMessage, int]) -> int:
    return entry[0]


def _back(seen: ReadMessage, code: str, detail: str) -> Rejection:
    return Rejection(code, detail, msgspec.json.encode(seen.observation), seen.source)
