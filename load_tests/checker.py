"""The correctness checker: what a run did and saw against what is stored, as a pure function.

The invariants are I1 to I9 of the reliability reference, for a system that stores no observations: *what was sent, less declared gaps and
dead letters, folded by the core, equals the stored events and state*.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from cluster.audit import AuditEvent, verify
from load_tests.fold import Key, Session, derived_key, fold, is_derived
from load_tests.history import Acknowledged, Declared, Move, Operation, Sent, ShownEvent, ShownState, Stored, ToldGap, Watching

TOLD_WITHIN_S = 10.0  # a dashboard that lacks something newer is told so within this
SKEW_S = 0.001  # seconds by which two readings of one clock in two processes may differ


class Violation(msgspec.Struct, frozen=True):
    """A broken invariant (``I1`` … ``I9``) of a camera."""

    invariant: str
    camera: str
    detail: str


def check(history: Sequence[Operation], stored: Stored, *, whole: bool = True) -> list[Violation]:
    """All violations. `whole`: the run has ended and everything was healed, so watchers must have seen everything too."""
    cameras = {row.camera: _Camera(row.camera) for row in stored.cameras}
    for operation in history:
        cameras.setdefault(operation.camera, _Camera(operation.camera)).take(operation)
    for event in stored.events:
        cameras.setdefault(event.camera, _Camera(event.camera)).events.append((event, msgspec.json.decode(event.body)))
    for move in stored.moves:
        cameras.setdefault(move.camera, _Camera(move.camera)).moves.append(move)
    found: list[Violation] = []
    for name, camera in cameras.items():
        camera.finish(stored)
        found += [*_acks(camera), *_once(camera), *_owners(camera), *_explained(camera, stored), *_watched(camera, whole), *_told(camera)]
        found += [Violation("I9", name, detail) for detail in _received(camera)]
    for finding in verify([*stored.events, *stored.cameras]).findings:
        found.append(Violation("I3", finding.camera, f"{finding.what}: {finding.detail}"))
    return sorted(found, key=lambda violation: (violation.invariant, violation.camera))


class _Camera:
    """Everything about one camera. `sessions` are in the order of their first observation."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sessions: dict[str, Session] = {}
        self.acks: list[Acknowledged] = []
        self.events: list[tuple[AuditEvent, dict[str, Any]]] = []
        self.moves: list[Move] = []
        self.seen: dict[str, list[Watching | ShownEvent | ToldGap]] = defaultdict(list)
        self.states: dict[str, list[ShownState]] = defaultdict(list)
        self.declared: dict[str, set[int]] = defaultdict(set)
        self.row: Any = None

    def take(self, operation: Operation) -> None:
        """Sort one operation in."""
        match operation:
            case Sent():
                session = self.sessions.setdefault(operation.session, Session(operation.session))
                session.items[operation.seq] = (operation.form, operation.body)
            case Declared():
                session = self.sessions.setdefault(operation.session, Session(operation.session))
                self.declared[operation.session].update(range(operation.first_seq, operation.last_seq + 1))
            case Acknowledged():
                self.acks.append(operation)
            case ShownState():
                self.states[operation.watcher].append(operation)
            case _:
                self.seen[operation.watcher].append(operation)

    def finish(self, stored: Stored) -> None:
        """How far every session is committed, and what was passed over in it."""
        self.row = next((row for row in stored.cameras if row.camera == self.name), None)
        for move in self.moves:
            session = self.sessions.setdefault(move.session, Session(move.session))
            session.upto = max(session.upto, move.seq)
        if self.row is not None and self.row.session in self.sessions:
            self.sessions[self.row.session].upto = self.row.last_seq
        for _, event in self.events:
            if event["type"] == "stream.gap":
                data = event["data"]
                session = self.sessions.setdefault(event["session"], Session(event["session"]))
                session.gaps.append((data["first_seq"], data["last_seq"], data["reason"]))

    def committed(self, session: str) -> int:
        """The committed seq of a session."""
        return self.sessions[session].upto if session in self.sessions else 0


def _acks(camera: _Camera) -> Iterable[Violation]:
    """I1: acked seq ≤ committed seq, at the end and at the time of the ack."""
    reached: dict[tuple[str, int], float] = {}
    for move in camera.moves:
        reached.setdefault((move.session, move.seq), move.at_s)
    times = {s: sorted((seq, at) for (name, seq), at in reached.items() if name == s) for s in camera.sessions}
    for ack in camera.acks:
        if ack.seq > camera.committed(ack.session):
            yield Violation(
                "I1", camera.name, f"seq {ack.seq} of {ack.session} was acked, committed is up to {camera.committed(ack.session)}"
            )
            continue
        first = next((at for seq, at in times.get(ack.session, []) if seq >= ack.seq), None)
        if first is not None and ack.at_s + SKEW_S < first:
            yield Violation("I1", camera.name, f"seq {ack.seq} of {ack.session} was acked {first - ack.at_s:.6f} s before its commit")


def _once(camera: _Camera) -> Iterable[Violation]:
    """I2 and I3: no offset twice, and every advance goes forward."""
    places = Counter((event.epoch, event.offset) for event, _ in camera.events)
    for (epoch, offset), times in places.items():
        if times > 1:
            yield Violation("I2", camera.name, f"event {epoch}/{offset} is stored {times} times")
    last: dict[str, int] = {}
    for move in camera.moves:
        if move.seq < last.get(move.session, 0):
            yield Violation("I3", camera.name, f"the row went from seq {last[move.session]} of {move.session} back to {move.seq}")
        last[move.session] = max(move.seq, last.get(move.session, 0))


def _owners(camera: _Camera) -> Iterable[Violation]:
    """I4: generations never decrease, each has one owner, and only the owner writes."""
    generation, owners = 0, dict[int, str]()
    for move in camera.moves:
        if move.generation < generation:
            yield Violation("I4", camera.name, f"generation {move.generation} wrote after generation {generation}")
        generation = max(generation, move.generation)
        if owners.setdefault(move.generation, move.owner) != move.owner:
            yield Violation("I4", camera.name, f"generation {move.generation} has the owners {owners[move.generation]} and {move.owner}")
        if move.writer != move.owner:
            yield Violation("I4", camera.name, f"{move.writer} moved the row to seq {move.seq}, its owner is {move.owner}")


def _explained(camera: _Camera, stored: Stored) -> Iterable[Violation]:
    """I2, I7, I8 and I9: what was sent, less gaps and dead letters, folded by the core, equals what is stored."""
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
        if times.total() > right.total():
            yield Violation("I2" if right else "I7", name, f"{key[0]} of seq {key[6]}: stored {times.total()}×, derived {right.total()}×")
        elif times.total() < right.total():
            yield Violation("I8", name, f"{key[0]} of seq {key[6]}: derived {right.total()}×, stored {times.total()}×")
        elif times != right:
            yield Violation("I9", name, f"{key[0]} of seq {key[6]}: stored at {sorted(times)}, captured at {sorted(right)}")
    if camera.row is not None and (camera.row.counts, camera.row.occupancy) != (expected.counts, expected.occupancy):
        yield Violation(
            "I8", name, f"the state says {camera.row.counts} {camera.row.occupancy}, it must be {expected.counts} {expected.occupancy}"
        )
    yield from _letters(camera, stored, expected.letters)


def _gaps(camera: _Camera, session: Session) -> Iterable[Violation]:
    told = {seq for first, last, _ in session.gaps for seq in range(first, last + 1)}
    declared = camera.declared[session.name]
    silent = [seq for seq in range(1, session.upto + 1) if seq not in session.items and seq not in told]
    if silent:
        yield Violation("I8", camera.name, f"{len(silent)} seqs of {session.name} from {silent[0]} were neither sent nor declared as a gap")
    if extra := sorted(told - declared):
        yield Violation("I8", camera.name, f"the gap {extra[0]}..{extra[-1]} of {session.name} is stored, the edge did not declare it")
    if lost := sorted(seq for seq in declared - told if seq <= session.upto):
        yield Violation("I8", camera.name, f"the edge declared {lost[0]}..{lost[-1]} of {session.name} as a gap, no event says so")


def _letters(camera: _Camera, stored: Stored, expected: set[tuple[str, int]]) -> Iterable[Violation]:
    letters = [letter for letter in stored.letters if letter.camera == camera.name and letter.seq]
    for letter in letters:
        session = camera.sessions.get(letter.session)
        if session is None or session.items.get(letter.seq, ("", b""))[1] != letter.raw:
            yield Violation("I7", camera.name, f"the dead letter of seq {letter.seq} of {letter.session} was never sent")
    times = Counter((letter.session, letter.seq) for letter in letters)
    for (session_name, seq), count in times.items():
        if count > 1:
            yield Violation("I2", camera.name, f"the dead letter of seq {seq} of {session_name} is stored {count} times")
    for session_name, seq in sorted(expected - times.keys()):
        yield Violation("I8", camera.name, f"seq {seq} of {session_name} cannot be applied and is no dead letter")


def _watched(camera: _Camera, whole: bool) -> Iterable[Violation]:
    """I5, I7 and I9 on dashboards: every event once and in order, or a told gap; nothing that is not stored."""
    stored = {(event.epoch, event.offset): body for event, body in camera.events}
    top = camera.row.last_offset if camera.row is not None else 0
    for watcher, operations in camera.seen.items():
        epoch, offset = "", 0
        for operation in operations:
            if isinstance(operation, Watching):
                epoch, offset = operation.epoch, operation.offset
                continue
            if isinstance(operation, ToldGap):
                offset = max(offset, operation.last)
                continue
            body = stored.get((operation.epoch, operation.offset))
            if body is None or body["type"] != operation.type:
                yield Violation("I7", camera.name, f"{watcher} was shown event {operation.offset} ({operation.type}), stored is {body}")
            elif body["time"] != operation.time:
                yield Violation("I9", camera.name, f"{watcher} was shown event {operation.offset} at {operation.time}, not {body['time']}")
            if operation.epoch != epoch or operation.offset != offset + 1:
                kind = "again" if operation.offset <= offset else "after a silent gap"
                yield Violation("I5", camera.name, f"{watcher} was shown event {operation.offset} {kind}, it had {offset}")
            epoch, offset = operation.epoch, max(offset, operation.offset)
        if whole and epoch == getattr(camera.row, "epoch", "") and offset < top:
            yield Violation("I5", camera.name, f"{watcher} ends at event {offset}, stored are {top}")


def _told(camera: _Camera) -> Iterable[Violation]:
    """I6: who lacks something newer for `TOLD_WITHIN_S` has been told that what it sees is old. I7: no state beyond what is committed."""
    top = camera.row.last_offset if camera.row is not None else 0
    for watcher, states in camera.states.items():
        for state in states:
            if state.offset > top:
                yield Violation("I7", camera.name, f"{watcher} was shown a state of event {state.offset}, committed are {top}")
        end = states[-1].at_s
        for move in camera.moves:
            if move.at_s < states[0].at_s:
                continue
            until = move.at_s + TOLD_WITHIN_S
            before = [state for state in states if state.at_s <= until]
            newest = before[-1]
            if until <= end and newest.status == "online" and newest.offset < move.offset:
                yield Violation("I6", camera.name, f"{watcher} saw event {newest.offset} as present, {move.offset} was stored long before")
                break


def _received(camera: _Camera) -> Iterable[str]:
    """I9: receive times of what observations caused never go back along the offsets of an epoch (timers have a clock of their own)."""
    last: dict[str, tuple[int, datetime]] = {}
    for event, body in camera.events:
        if not is_derived(body["type"]):
            continue
        received = datetime.fromisoformat(body["received"])
        offset, before = last.get(event.epoch, (0, received))
        if received < before:
            yield f"event {event.offset} was received at {received}, before event {offset}"
        last[event.epoch] = (event.offset, max(received, before))
