"""The correctness checker: what a run did and saw against what is stored, as a pure function.

The invariants are those of the reliability reference, for a system that stores no observations:
*what was sent, less declared gaps and dead letters, folded by the core, equals the stored events
and state*. What dashboards were shown is in `load_tests.checker.watchers`.
"""

import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from cluster.event_proofs import AuditEvent, CameraTotals, verify
from load_tests.checker.model import Key, SessionItems, derived_key, fold, is_derived
from load_tests.checker.ranges import Range, count, minus
from load_tests.checker.violations import Violation
from load_tests.checker.watchers import Lane, aged, documented, never_older, told, watched
from load_tests.harness.history import (
    Acknowledged,
    Closed,
    Declared,
    LostOnItsWay,
    Move,
    Operation,
    RecordedLetter,
    Sent,
    ShownEvent,
    ShownState,
    Stored,
    ToldGap,
    WatcherPosition,
)

SKEW_S = 0.001  # seconds by which two readings of one clock in two processes may differ
GAP_MOST = 65_536  # seqs of one gap: more than any camera's credits


def check(history: Sequence[Operation], stored: Stored, *, whole: bool = True) -> list[Violation]:
    """All violations. `whole`: the run has ended and everything was healed, so watchers must have
    seen everything too."""
    cameras = {row.camera: _Camera(row.camera) for row in stored.cameras}
    closes: list[Closed] = []
    lost: dict[str, list[LostOnItsWay]] = defaultdict(list)
    for operation in history:
        if isinstance(operation, Closed):
            closes.append(operation)
        elif isinstance(operation, LostOnItsWay):
            lost[operation.watcher].append(operation)
        else:
            cameras.setdefault(operation.camera, _Camera(operation.camera)).add(operation)
    for event in stored.events:
        cameras.setdefault(event.camera, _Camera(event.camera)).events.append(
            (event, msgspec.json.decode(event.body))
        )
    for move in stored.moves:
        cameras.setdefault(move.camera, _Camera(move.camera)).moves.append(move)
    for letter in stored.letters:
        cameras.setdefault(letter.camera, _Camera(letter.camera)).letters.append(letter)
    found: list[Violation] = list(documented(closes))
    rows = {row.camera: row for row in stored.cameras}
    for name, camera in cameras.items():
        camera.finish(rows.get(name))
        found += [
            *_acks(camera),
            *_once(camera),
            *_owners(camera),
            *_explained(camera, stored),
            *_reused(camera),
        ]
        found += [Violation("I9", name, detail) for detail in _received(camera)]
        bodies = {(event.epoch, event.offset): body for event, body in camera.events}
        for watcher, lane in camera.seen.items():
            found += watched(name, watcher, lane, bodies, camera.row, whole=whole)
        sent_at = sorted(camera.sent_at)
        for watcher, states in camera.states.items():
            found += [
                *told(name, watcher, states, camera.moves, camera.row, lost[watcher]),
                *never_older(name, watcher, states),
            ]
            found += aged(name, watcher, states, sent_at, lost[watcher])
    for finding in verify([*stored.events, *stored.cameras]).findings:
        found.append(Violation("I3", finding.camera, f"{finding.what}: {finding.detail}"))
    return sorted(found, key=lambda violation: (violation.invariant, violation.camera))


class _Camera:
    """Everything about one camera. `sessions` are in the order of their first observation."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sessions: dict[str, SessionItems] = {}
        self.acks: list[Acknowledged] = []
        self.events: list[tuple[AuditEvent, dict[str, Any]]] = []
        self.moves: list[Move] = []
        self.letters: list[RecordedLetter] = []
        self.seen: dict[str, Lane] = defaultdict(list)
        self.states: dict[str, list[ShownState]] = defaultdict(list)
        self.declared: dict[str, list[Range]] = defaultdict(list)
        self.sent_at: list[float] = []
        self.row: Any = None

    def add(self, operation: Operation) -> None:
        """Sort one operation in."""
        match operation:
            case Sent():
                session = self.sessions.setdefault(
                    operation.session, SessionItems(operation.session)
                )
                if operation.at_s and operation.seq not in session.items:
                    self.sent_at.append(operation.at_s)
                session.items[operation.seq] = (operation.form, operation.body)
            case Declared():
                session = self.sessions.setdefault(
                    operation.session, SessionItems(operation.session)
                )
                self.declared[operation.session].append((operation.first_seq, operation.last_seq))
            case Acknowledged():
                self.acks.append(operation)
            case ShownState():
                self.states[operation.watcher].append(operation)
            case WatcherPosition() | ShownEvent() | ToldGap():
                self.seen[operation.watcher].append(operation)
            case Closed() | LostOnItsWay():
                pass

    def finish(self, row: CameraTotals | None) -> None:
        """How far every session is committed, and what was passed over in it."""
        self.row = row
        for move in self.moves:
            session = self.sessions.setdefault(move.session, SessionItems(move.session))
            session.upto = max(session.upto, move.seq)
        if self.row is not None and self.row.session in self.sessions:
            self.sessions[self.row.session].upto = self.row.last_seq
        for _, event in self.events:
            if event["type"] == "stream.gap":
                data = event["data"]
                session = self.sessions.setdefault(event["session"], SessionItems(event["session"]))
                session.gaps.append((data["first_seq"], data["last_seq"], data["reason"]))

    def committed(self, session: str) -> int:
        """The committed seq of a session."""
        return self.sessions[session].upto if session in self.sessions else 0


def _acks(camera: _Camera) -> Iterable[Violation]:
    """I1: acked seq ≤ committed seq, at the end and at the time of the ack."""
    reached: dict[tuple[str, int], float] = {}
    for move in camera.moves:
        reached.setdefault((move.session, move.seq), move.at_s)
    times = {
        s: sorted((seq, at) for (name, seq), at in reached.items() if name == s)
        for s in camera.sessions
    }
    for ack in camera.acks:
        if ack.seq > (upto := camera.committed(ack.session)):
            yield Violation(
                "I1",
                camera.name,
                f"seq {ack.seq} of {ack.session} was acked, committed is up to {upto}",
                ack.session,
                ack.seq,
            )
            continue
        moves = times.get(ack.session, [])
        place = bisect.bisect_left(moves, (ack.seq, 0.0))
        if place < len(moves) and ack.at_s + SKEW_S < (first := moves[place][1]):
            detail = (
                f"seq {ack.seq} of {ack.session} was acked {first - ack.at_s:.6f} s before "
                "its commit"
            )
            yield Violation("I1", camera.name, detail, ack.session, ack.seq)


def _once(camera: _Camera) -> Iterable[Violation]:
    """I2 and I3: no offset twice, and every advance goes forward."""
    places = Counter((event.epoch, event.offset) for event, _ in camera.events)
    for (epoch, offset), times in places.items():
        if times > 1:
            yield Violation(
                "I2", camera.name, f"event {epoch}/{offset} is stored {times} times", offset=offset
            )
    last: dict[str, int] = {}
    for move in camera.moves:
        if move.seq < last.get(move.session, 0):
            detail = (
                f"the row went from seq {last[move.session]} of {move.session} back to {move.seq}"
            )
            yield Violation("I3", camera.name, detail, move.session, move.seq)
        last[move.session] = max(move.seq, last.get(move.session, 0))


def _owners(camera: _Camera) -> Iterable[Violation]:
    """I4: generations never decrease, each has one owner, and only the owner writes."""
    generation, owners = 0, dict[int, str]()
    for move in camera.moves:
        if move.generation < generation:
            detail = f"generation {move.generation} wrote after generation {generation}"
            yield Violation("I4", camera.name, detail, move.session, move.seq)
        generation = max(generation, move.generation)
        if owners.setdefault(move.generation, move.owner) != move.owner:
            detail = (
                f"generation {move.generation} has the owners {owners[move.generation]} and "
                f"{move.owner}"
            )
            yield Violation("I4", camera.name, detail, move.session, move.seq)
        if move.writer != move.owner:
            detail = f"{move.writer} moved the row to seq {move.seq}, its owner is {move.owner}"
            yield Violation("I4", camera.name, detail, move.session, move.seq)


def _explained(camera: _Camera, stored: Stored) -> Iterable[Violation]:
    """I2, I7, I8 and I9: what was sent, less gaps and dead letters, folded by the core, equals what
    is stored."""
    name = camera.name
    for session in camera.sessions.values():
        yield from _gaps(camera, session)
    expected = fold(name, stored.scenes.get(name, b"{}"), list(camera.sessions.values()))
    found: dict[Key, Counter[str]] = {}
    for _, event in camera.events:
        if is_derived(event["type"]):
            found.setdefault(derived_key(event), Counter())[event["time"]] += 1
    for key in expected.events.keys() | found.keys():
        right, times = expected.events.get(key, Counter()), found.get(key, Counter())
        of, seq = str(key[5]), int(key[6] or 0)
        if times.total() > right.total():
            detail = f"{key[0]} of seq {seq}: stored {times.total()}×, derived {right.total()}×"
            yield Violation("I2" if right else "I7", name, detail, of, seq)
        elif times.total() < right.total():
            yield Violation(
                "I8",
                name,
                f"{key[0]} of seq {seq}: derived {right.total()}×, stored {times.total()}×",
                of,
                seq,
            )
        elif times != right:
            yield Violation(
                "I9",
                name,
                f"{key[0]} of seq {seq}: stored at {sorted(times)}, captured at {sorted(right)}",
                of,
                seq,
            )
    if camera.row is not None and (camera.row.counts, camera.row.occupancy) != (
        expected.counts,
        expected.occupancy,
    ):
        yield Violation(
            "I8",
            name,
            f"the state says {camera.row.counts} {camera.row.occupancy}, it must be "
            f"{expected.counts} {expected.occupancy}",
        )
    yield from _letters(camera, expected.letters)


def _gaps(camera: _Camera, session: SessionItems) -> Iterable[Violation]:
    stored = [(first, last) for first, last, _ in session.gaps]
    declared, name = camera.declared[session.name], session.name
    if silent := minus(minus([(1, session.upto)], stored), ((seq, seq) for seq in session.items)):
        detail = (
            f"{count(silent)} seqs of {name} from {silent[0][0]} were neither sent nor "
            "declared as a gap"
        )
        yield Violation("I8", camera.name, detail, name, silent[0][0])
    if extra := minus(stored, declared):
        detail = (
            f"the gap {extra[0][0]}..{extra[-1][1]} of {name} is stored, the edge did not "
            "declare it"
        )
        yield Violation("I8", camera.name, detail, name, extra[0][0])
    if lost := minus([(first, min(last, session.upto)) for first, last in declared], stored):
        detail = (
            f"the edge declared {lost[0][0]}..{lost[-1][1]} of {name} as a gap, no event says so"
        )
        yield Violation("I8", camera.name, detail, name, lost[0][0])
    for first, last in stored:
        if last - first >= GAP_MOST:
            detail = (
                f"a gap of {last - first + 1} seqs of {name} from {first} was taken: "
                f"credits never allow more than {GAP_MOST}"
            )
            yield Violation("I8", camera.name, detail, name, first)


def _reused(camera: _Camera) -> Iterable[Violation]:
    """I2: one event id names one event, whoever was shown it and whenever; a restored database must
    not give ids out again."""
    first: dict[tuple[str, int], ShownEvent] = {}
    for lane in camera.seen.values():
        for shown in lane:
            if isinstance(shown, ShownEvent):
                known = first.setdefault((shown.epoch, shown.offset), shown)
                if (known.type, known.time) != (shown.type, shown.time):
                    detail = (
                        f"the id {shown.epoch}/{shown.offset} was {known.type} at "
                        f"{known.time}, then {shown.type} at {shown.time}"
                    )
                    yield Violation(
                        "I2", camera.name, detail, watcher=shown.watcher, offset=shown.offset
                    )
                    return


def _letters(camera: _Camera, expected: set[tuple[str, int]]) -> Iterable[Violation]:
    letters = [letter for letter in camera.letters if letter.seq]
    for letter in letters:
        session = camera.sessions.get(letter.session)
        if session is None or session.items.get(letter.seq, ("", b""))[1] != letter.raw:
            detail = f"the dead letter of seq {letter.seq} of {letter.session} was never sent"
            yield Violation("I7", camera.name, detail, letter.session, letter.seq)
    times = Counter((letter.session, letter.seq) for letter in letters)
    for (session_name, seq), stored in times.items():
        if stored > 1:
            yield Violation(
                "I2",
                camera.name,
                f"the dead letter of seq {seq} of {session_name} is stored {stored} times",
            )
    for session_name, seq in sorted(expected - times.keys()):
        yield Violation(
            "I8",
            camera.name,
            f"seq {seq} of {session_name} cannot be applied and is no dead letter",
        )


def _received(camera: _Camera) -> Iterable[str]:
    """I9: receive times of what observations caused never go back along the offsets of an epoch
    (timers have a clock of their own)."""
    last: dict[str, tuple[int, datetime]] = {}
    for event, body in camera.events:
        if not is_derived(body["type"]):
            continue
        received = datetime.fromisoformat(body["received"])
        offset, before = last.get(event.epoch, (0, received))
        if received < before:
            yield f"event {event.offset} was received at {received}, before event {offset}"
        last[event.epoch] = (event.offset, max(received, before))
