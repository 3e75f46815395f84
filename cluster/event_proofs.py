"""Proofs over what is stored, as pure functions: the hash chain holds, and two runs derived the
same.

*Derived* is everything that follows from observations: events other than ``camera.*`` and
``stream.*`` (by type, track, zone or line, session, seq and capture time), line counts and
occupancy. Offsets, hashes, receive times and ``camera.*``/``stream.*`` events may differ between
two runs over the same observations, since crashes and reconnections are part of what those tell.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from actors.core.messages.events import CHAIN_START
from actors.core.messages.personal import comparable

MAX_FINDINGS = 200  # findings kept by one check; beyond it only the number grows


class CameraTotals(msgspec.Struct, frozen=True, tag="camera", tag_field="kind"):
    """What a camera's row says at the end. `chain` is the hex hash of its last event."""

    camera: str
    session: str
    last_seq: int
    epoch: str
    last_offset: int
    chain: str
    counts: dict[str, dict[str, int]]
    occupancy: dict[str, dict[str, int]]


class AuditEvent(msgspec.Struct, frozen=True, tag="event", tag_field="kind"):
    """A stored event: `body` is the canonical JSON text, `hash` hex."""

    camera: str
    epoch: str
    offset: int
    body: str
    hash: str


class RetentionMark(msgspec.Struct, frozen=True, tag="dropped", tag_field="kind"):
    """The last event of a camera and epoch that retention dropped; the next one is chained to its
    `hash` (hex)."""

    camera: str
    epoch: str
    offset: int
    hash: str


Record = RetentionMark | CameraTotals | AuditEvent


class AuditFinding(msgspec.Struct, frozen=True):
    """One thing that is wrong, or differs."""

    camera: str
    what: str
    detail: str


class Verdict(msgspec.Struct):
    """The outcome of a check: green when nothing was found."""

    cameras: int = 0
    events: int = 0
    found: int = 0
    findings: list[AuditFinding] = msgspec.field(default_factory=list)

    @property
    def green(self) -> bool:
        """True when nothing was found."""
        return self.found == 0

    def add(self, camera: str, what: str, detail: str) -> None:
        """Note a finding; the list is bounded, the number is not."""
        self.found += 1
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(AuditFinding(camera, what, detail))


class ChainVerifier:
    """Checks every camera's chain: offsets 1, 2, 3, … per epoch, each hash over the one before it,
    the row at the last event.

    Takes records one at a time: what retention dropped, then the events of each camera in (epoch,
    offset) order, then the rows, as they are exported. Holds a head per camera and epoch, never the
    events.
    """

    def __init__(self) -> None:
        self.verdict = Verdict()
        self._heads: dict[tuple[str, str], tuple[int, bytes]] = {}
        self._marks: dict[tuple[str, str], int] = {}
        self._stream: tuple[str, str] = ("", "")
        self._seen_seq: dict[str, int] = {}

    def add(self, record: Record) -> None:
        """One more record."""
        match record:
            case AuditEvent():
                self.verdict.events += 1
                self._event(record)
            case RetentionMark():
                key = (record.camera, record.epoch)
                self._marks[key] = record.offset
                self._heads[key] = (record.offset, bytes.fromhex(record.hash))
            case CameraTotals():
                self._row(record)

    def _event(self, event: AuditEvent) -> None:
        key = (event.camera, event.epoch)
        offset, previous = self._heads.get(key, _START)
        if event.offset <= self._marks.get(key, 0):
            # older than what retention dropped: a hub's clock was ahead when it was received, it
            # goes with its own day
            return
        if event.offset != offset + 1:
            kind = "duplicate or reorder" if event.offset <= offset else "gap"
            self.verdict.add(event.camera, kind, f"event {event.offset} follows event {offset}")
        body = event.body.encode()
        digest = hashlib.sha256(previous + body).digest()
        if digest.hex() != event.hash:
            self.verdict.add(
                event.camera, "hash", f"event {event.offset} does not chain to the one before it"
            )
        self._body(event, body)
        self._heads[key] = (event.offset, _digest(event.hash))

    def _body(self, event: AuditEvent, body: bytes) -> None:
        try:
            fields = _bodies.decode(body)
        except msgspec.DecodeError as error:
            self.verdict.add(event.camera, "body", f"event {event.offset} is no event: {error}")
            return
        if (
            fields.offset != event.offset
            or fields.camera != event.camera
            or fields.epoch != event.epoch
        ):
            self.verdict.add(
                event.camera, "body", f"event {event.offset} carries another position in its body"
            )
        if (event.camera, event.epoch) != self._stream:
            self._stream = (event.camera, event.epoch)
            self._seen_seq = {}
        last = self._seen_seq.get(fields.session, 0)
        if fields.seq < last:
            self.verdict.add(
                event.camera,
                "order",
                f"event {event.offset} is of seq {fields.seq}, after one of seq {last}",
            )
        else:
            self._seen_seq[fields.session] = fields.seq

    def _row(self, row: CameraTotals) -> None:
        self.verdict.cameras += 1
        offset, chain = self._heads.get((row.camera, row.epoch), _START)
        if offset != row.last_offset:
            self.verdict.add(
                row.camera,
                "row",
                f"the row says offset {row.last_offset}, the last event of its epoch is {offset}",
            )
        elif chain.hex() != row.chain and offset:
            self.verdict.add(
                row.camera, "row", f"the row's chain hash is not that of event {offset}"
            )


_START = (0, CHAIN_START)


class _Where(msgspec.Struct):
    """What of a body a verification looks at."""

    camera: str = ""
    epoch: str = ""
    offset: int = 0
    session: str = ""
    seq: int = 0


_bodies = msgspec.json.Decoder(_Where)


def _digest(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def verify(records: Iterable[Record]) -> Verdict:
    """:class:`ChainVerifier` over records at hand."""
    verifier = ChainVerifier()
    for record in records:
        verifier.add(record)
    return verifier.verdict


class Derived:
    """What a run derived from observations: events as a multiset (cameras run independently) and
    the rows. Takes records one at a time."""

    def __init__(self) -> None:
        self.events: Counter[tuple[Any, ...]] = Counter()
        self.totals: dict[str, CameraTotals] = {}

    def add(self, record: Record) -> None:
        """One more record."""
        if isinstance(record, CameraTotals):
            self.totals[record.camera] = record
        elif isinstance(record, AuditEvent):
            fields = msgspec.json.decode(record.body)
            if not fields["type"].startswith(("camera.", "stream.")):
                self.events[_key(fields)] += 1


def diff(a: Iterable[Record], b: Iterable[Record]) -> Verdict:
    """:func:`compare` of records at hand."""
    first, second = Derived(), Derived()
    for derived, records in ((first, a), (second, b)):
        for record in records:
            derived.add(record)
    return compare(first, second)


def compare(first: Derived, second: Derived) -> Verdict:
    """What two runs derived differently from the same observations."""
    verdict = Verdict()
    for camera in sorted(first.totals.keys() | second.totals.keys()):
        verdict.cameras += 1
        _diff_totals(verdict, camera, first.totals.get(camera), second.totals.get(camera))
    verdict.events = first.events.total()
    for which, missing in (
        ("only in A", first.events - second.events),
        ("only in B", second.events - first.events),
    ):
        for key, times in sorted(missing.items(), key=repr):
            verdict.add(str(key[0]), which, f"{times}× {_describe(key)}")
    return verdict


def _key(fields: dict[str, Any]) -> tuple[Any, ...]:
    names = ("camera", "type", "track", "zone", "line", "label", "session", "seq", "time")
    fields = dict(comparable(fields))
    return (
        *(fields.get(name) for name in names),
        msgspec.json.encode(fields.get("data"), order="sorted"),
    )


def _describe(key: tuple[Any, ...]) -> str:
    _camera, kind, track, zone, line, label, session, seq, time, _data = key
    place = zone or line or "-"
    return (
        f"{kind} track={track or '-'} at={place} label={label or '-'} session={session} "
        f"seq={seq} time={time}"
    )


def _diff_totals(
    verdict: Verdict, camera: str, a: CameraTotals | None, b: CameraTotals | None
) -> None:
    if a is None or b is None:
        verdict.add(camera, "camera", f"only in {'B' if a is None else 'A'}")
        return
    for name in ("session", "last_seq", "counts", "occupancy"):
        left, right = getattr(a, name), getattr(b, name)
        if left != right:
            verdict.add(camera, name, f"{left!r} in A, {right!r} in B")


_records: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def read_export(lines: Iterable[bytes]) -> Iterator[Record]:
    """Records of an export file, one JSON object a line. Raises msgspec.DecodeError for a line that
    is none."""
    for line in lines:
        if line.strip():
            yield _records.decode(line)
