"""Where an edge keeps what is not acked on disk, so that it survives a crash of the process and of
the machine.

On disk, one folder per session holds append-only segments of records. A record is a header (magic,
kind, length, seq, CRC-32 of the payload, CRC-32 of the header) and its payload, so a damaged record
costs itself and no neighbour: reading goes on at the next header that is whole.

*Durability.* `put` returns after one `write`: killing the process loses nothing. `sync` is one
`fsync`; the client calls it every second and right after an alarm, so a power failure costs at most
about a second of live observations. *Counters.* After a power failure (another boot, no mark of a
clean end) or with a damaged end the last number used is not known for sure: such a session is
delivered as it is and not continued (`Recovered.resumable`), the device goes on in a fresh one.

*Bound.* Segments go when nothing in them is held any more. When alarms or gaps pin them, the oldest
are copied forward, so the folder stays near twice its capacity of payload and one segment.
"""

import os
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from actors.core.errors import ConfigError, Unavailable
from edge.records import (
    ACKED,
    ALARM,
    CLOSED,
    GAP,
    HEADER_BYTES,
    LIVE,
    SpoolRecord,
    encode_record,
    read_records,
)

SEGMENT_BYTES = 1_048_576
_LAST = struct.Struct("<Q")


@dataclass(slots=True)
class Recovered:
    """What a folder held when it was opened. `held` is (seq, payload bytes, alarm), ascending;
    `damaged` bytes were passed over."""

    acked: int = 0
    next_seq: int = 1
    held: list[tuple[int, int, bool]] = field(default_factory=list)
    gaps: list[tuple[int, int, str]] = field(default_factory=list)
    damaged: int = 0
    resumable: bool = True


@dataclass(slots=True)
class _Segment:
    path: Path
    size: int = 0
    held: set[int] = field(default_factory=set)
    gaps: list[int] = field(default_factory=list)  # last seq of the gaps recorded here


@dataclass(slots=True, frozen=True)
class _Place:
    segment: _Segment
    offset: int
    length: int
    alarm: bool


class DiskSpool:
    """One session on disk. Opening it recovers what is there into `recovered`. Not shared between
    processes (see `edge.spool_folder`)."""

    def __init__(self, folder: Path, *, capacity: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder = folder
        self.recovered = Recovered()
        self._capacity = capacity
        self._segment_bytes = segment_bytes
        self._places: dict[int, _Place] = {}
        self._segments: list[_Segment] = []
        self._acked = 0
        self._gaps: list[tuple[int, int, str]] = []  # not acked, sorted, joined
        self._descriptor = -1
        self._lock = threading.Lock()  # `sync` runs in another thread
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._recover()
            self._begin_segment()
            _write_text(folder / "boot", boot_id())
        except OSError as error:
            raise ConfigError(
                f"the spool folder {folder} cannot be used: {error.strerror}",
                hint="Name a folder of your own.",
            ) from error

    def append(self, seq: int, body: bytes, *, alarm: bool) -> None:
        """Append an observation. Raises Unavailable when the disk refuses; nothing is kept of it
        then."""
        offset = self._append(ALARM if alarm else LIVE, seq, body)
        segment = self._segments[-1]
        self._places[seq] = _Place(segment, offset, len(body), alarm)
        segment.held.add(seq)
        self._bound()

    def get(self, seq: int) -> bytes | None:
        """Read an observation back; None when it is not what was written."""
        place = self._places.get(seq)
        if place is None:
            return None
        size = HEADER_BYTES + place.length
        try:
            if place.segment is self._segments[-1] and self._descriptor >= 0:
                record = os.pread(self._descriptor, size, place.offset)
            else:
                with open(place.segment.path, "rb") as file:
                    file.seek(place.offset)
                    record = file.read(size)
        except OSError:
            return None
        found = next(read_records(record), None)
        return found.payload if found is not None and found.seq == seq else None

    def give_up(self, seqs: list[int], reason: str) -> None:
        """Record gaps (one per range) and forget the bodies."""
        text = reason.encode()
        for first, last in _ranges(sorted(seqs)):
            self._append(GAP, first, _LAST.pack(last) + text)
            self._segments[-1].gaps.append(last)
            self._gaps = _joined([*self._gaps, (first, last, reason)])
        self._release(seqs)

    def forget(self, seqs: list[int], acked: int) -> None:
        """Record the ack. Losing that record costs a resend, so it is not synced."""
        self._acked = max(self._acked, acked)
        self._append(ACKED, acked, b"")
        if self._gaps and self._gaps[0][0] <= acked:
            self._gaps = [
                (max(first, acked + 1), last, reason)
                for first, last, reason in self._gaps
                if last > acked
            ]
        for segment in self._segments:
            if segment.gaps:
                segment.gaps = [last for last in segment.gaps if last > acked]
        self._release(seqs)

    def rewind(self, acked: int, lost_to: int, reason: str) -> None:
        """Record the lower ack and the gap. Losing these records costs nothing: the next welcome
        says it again."""
        self._acked = acked
        self._append(ACKED, acked, b"")
        self._append(GAP, acked + 1, _LAST.pack(lost_to) + reason.encode())
        self._segments[-1].gaps.append(lost_to)
        self._gaps = _joined([*self._gaps, (acked + 1, lost_to, reason)])

    def sync(self) -> None:
        """fsync the segment in use. Safe to call from another thread."""
        with self._lock:
            descriptor = os.dup(self._descriptor) if self._descriptor >= 0 else -1
        if descriptor >= 0:
            try:
                os.fsync(descriptor)
            except OSError as error:
                raise Unavailable(
                    f"the spool {self.folder} cannot be synced: {error.strerror}"
                ) from error
            finally:
                os.close(descriptor)

    def close(self) -> None:
        """Mark a clean end."""
        if self._descriptor < 0:
            return
        self._append(CLOSED, 0, b"")
        self.sync()
        self._let_go()

    def remove(self) -> None:
        """Delete the folder."""
        self._let_go()
        for path in sorted(self.folder.iterdir()):
            path.unlink()
        self.folder.rmdir()

    def _append(self, kind: int, seq: int, payload: bytes) -> int:
        """Write a record; its offset in the segment in use."""
        if self._segments[-1].size >= self._segment_bytes and kind in (LIVE, ALARM):
            self.sync()
            self._let_go()
            self._begin_segment()
        segment = self._segments[-1]
        record = encode_record(kind, seq, payload)
        try:
            written = os.write(self._descriptor, record)
            if written != len(record):
                raise OSError(28, "no space left on device")
        except OSError as error:
            os.ftruncate(self._descriptor, segment.size)
            raise Unavailable(
                f"the spool {self.folder} cannot be written: {error.strerror}"
            ) from error
        offset = segment.size
        segment.size += len(record)
        return offset

    def _let_go(self) -> None:
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1

    def _begin_segment(self) -> None:
        number = int(self._segments[-1].path.stem) + 1 if self._segments else 1
        path = self.folder / f"{number:08d}.seg"
        self._descriptor = os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        self._segments.append(_Segment(path))
        # the first record carries what deleted segments knew
        self._append(ACKED, self._acked, _LAST.pack(self._next_seq()))

    def _next_seq(self) -> int:
        newest = max(self._places, default=0)
        gaps = max((last for segment in self._segments for last in segment.gaps), default=0)
        return max(self._acked, newest, gaps, self.recovered.next_seq - 1) + 1

    def _release(self, seqs: list[int]) -> None:
        for seq in seqs:
            place = self._places.pop(seq, None)
            if place is not None:
                place.segment.held.discard(seq)
        for segment in [s for s in self._segments[:-1] if not s.held and not s.gaps]:
            self._segments.remove(segment)
            segment.path.unlink(missing_ok=True)

    def _bound(self) -> None:
        """Copy the oldest segments forward when what they pin takes too much room; each at most
        once."""
        for _ in range(len(self._segments) - 2):
            if (
                sum(segment.size for segment in self._segments)
                <= 2 * self._capacity + self._segment_bytes
            ):
                return
            oldest = self._segments[0]
            if oldest.gaps:
                self._rewrite_gaps()
            for seq in sorted(oldest.held):
                place = self._places[seq]
                body = self.get(seq)
                if body is None:
                    continue
                offset = self._append(ALARM if place.alarm else LIVE, seq, body)
                self._segments[-1].held.add(seq)
                self._places[seq] = _Place(self._segments[-1], offset, len(body), place.alarm)
            self._segments.remove(oldest)
            oldest.path.unlink(missing_ok=True)

    def _rewrite_gaps(self) -> None:
        """Record all gaps anew, joined, in the segment in use: no older one is needed for them
        then."""
        for segment in self._segments:
            segment.gaps = []
        for first, last, reason in self._gaps:
            self._append(GAP, first, _LAST.pack(last) + reason.encode())
            self._segments[-1].gaps.append(last)

    def _recover(self) -> None:
        found = self.recovered
        closed = damaged_end = False
        top = 0
        for path in sorted(self.folder.glob("*.seg")):
            data = path.read_bytes()
            segment = _Segment(path, len(data))
            end = 0
            for record in read_records(data):
                found.damaged += record.offset - end
                end = record.offset + HEADER_BYTES + len(record.payload)
                closed = record.kind == CLOSED
                if record.kind in (LIVE, ALARM):
                    self._hold(record, segment)
                    top = max(top, record.seq)
                elif record.kind == GAP:
                    last = _LAST.unpack_from(record.payload)[0]
                    found.gaps.append(
                        (record.seq, last, record.payload[_LAST.size :].decode("utf-8", "replace"))
                    )
                    segment.gaps.append(last)
                    top = max(top, last)
                elif record.kind == ACKED:
                    self._acked = (
                        record.seq
                    )  # the last one holds: a restored hub knows less than it did
                    if record.payload:
                        top = max(top, _LAST.unpack_from(record.payload)[0] - 1)
            found.damaged += len(data) - end
            damaged_end = len(data) != end
            self._segments.append(segment)
        found.acked = self._acked
        found.next_seq = max(top, self._acked) + 1
        given_up = [
            seq
            for seq in self._places
            if seq <= self._acked or any(first <= seq <= last for first, last, _ in found.gaps)
        ]
        found.gaps = _joined(
            [
                (max(first, self._acked + 1), last, reason)
                for first, last, reason in found.gaps
                if last > self._acked
            ]
        )
        self._gaps = list(found.gaps)
        found.held = [
            (seq, place.length, place.alarm)
            for seq, place in sorted(self._places.items())
            if seq not in set(given_up)
        ]
        same_boot = _read_text(self.folder / "boot") == boot_id() != ""
        found.resumable = not self._segments or ((closed or same_boot) and not damaged_end)
        for segment in self._segments:
            segment.gaps = [last for last in segment.gaps if last > self._acked]
        if self._segments:
            self._release_recovered(given_up)

    def _hold(self, record: SpoolRecord, segment: _Segment) -> None:
        old = self._places.get(record.seq)
        if old is not None:
            old.segment.held.discard(record.seq)
        self._places[record.seq] = _Place(
            segment, record.offset, len(record.payload), record.kind == ALARM
        )
        segment.held.add(record.seq)

    def _release_recovered(self, seqs: list[int]) -> None:
        for seq in seqs:
            self._places.pop(seq).segment.held.discard(seq)


def boot_id() -> str:
    """What tells one boot of this machine from another; empty where the system does not say."""
    return _read_text(Path("/proc/sys/kernel/random/boot_id"))


def _joined(gaps: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Sorted, with what overlaps or touches under the same reason made one."""
    made: list[tuple[int, int, str]] = []
    for first, last, reason in sorted(gaps):
        if made and first <= made[-1][1] + 1 and (reason == made[-1][2] or last <= made[-1][1]):
            made[-1] = (made[-1][0], max(last, made[-1][1]), made[-1][2])
        else:
            made.append((first, last, reason))
    return made


def _ranges(seqs: list[int]) -> Iterator[tuple[int, int]]:
    first = last = None
    for seq in seqs:
        if first is None or last is None:
            first = last = seq
        elif seq == last + 1:
            last = seq
        else:
            yield first, last
            first = last = seq
    if first is not None and last is not None:
        yield first, last


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _write_text(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="ascii")
