"""Broken invariants, and the few lines of a history that show one (pure)."""

from collections.abc import Iterable, Sequence

import msgspec

from load_tests.harness.history import Move, Operation, Stored

AROUND = 2  # seqs and offsets on either side that belong to an excerpt
OPERATIONS, MOVES = 6, 3


class Violation(msgspec.Struct, frozen=True):
    """A broken invariant (``I1`` … ``I12``) of a camera, or of a connection. What locates it, where
    that is known: `session` and `seq`, or `watcher` and `offset`."""

    invariant: str
    camera: str
    detail: str
    session: str = ""
    seq: int = 0
    watcher: str = ""
    offset: int = 0


def excerpt(violation: Violation, history: Sequence[Operation], stored: Stored) -> list[str]:
    """The operations and moves of the row that lie around it, as JSON, at most `OPERATIONS` and
    `MOVES` of them."""
    operations = [_line(operation) for operation in history if _near(violation, operation)]
    moves: dict[int, str] = {}
    for move in stored.moves:
        if move.camera == violation.camera and _moves_by(violation, move):
            moves.setdefault(move.seq if violation.seq else move.offset, _line(move))
    return [*_middle(operations, OPERATIONS), *_middle(list(moves.values()), MOVES)]


def _middle(lines: list[str], count: int) -> list[str]:
    start = max(0, len(lines) - count) // 2
    return lines[start : start + count]


def _near(violation: Violation, operation: Operation) -> bool:
    fields = msgspec.structs.asdict(operation)
    if operation.camera != violation.camera and fields.get("by", "") != violation.watcher:
        return False
    if violation.watcher:
        who = fields.get("watcher", fields.get("by"))
        return who == violation.watcher and (
            not violation.offset or _close(fields, ("offset", "last"), violation.offset)
        )
    if violation.seq:
        return fields.get("session") == violation.session and _close(
            fields, ("seq", "first_seq", "last_seq"), violation.seq
        )
    return bool(violation.offset) and _close(fields, ("offset",), violation.offset)


def _close(fields: dict[str, object], names: Iterable[str], wanted: int) -> bool:
    return any(
        isinstance(value := fields.get(name), int) and abs(value - wanted) <= AROUND
        for name in names
    )


def _moves_by(violation: Violation, move: Move) -> bool:
    if violation.seq:
        return move.session == violation.session and abs(move.seq - violation.seq) <= AROUND
    return bool(violation.offset) and abs(move.offset - violation.offset) <= AROUND


def _line(what: Operation | Move) -> str:
    fields = msgspec.structs.asdict(what)
    if isinstance(body := fields.pop("body", None), bytes):
        fields["bytes"] = len(body)
    return f"{type(what).__name__} {msgspec.json.encode(fields).decode()}"
