"""Triage of an alert point, as values: in which state it is, and what an act makes of it.

The states are those of ISA-18.2 (IEC 62682): normal, unacknowledged, acknowledged, returned and not
acknowledged, and shelved. An acknowledgement names the occurrence that was seen, as in OPC UA
Part 9, 5.7.2: what came since is not acknowledged with it. A shelf has an owner, a reason and an
end; a point that comes out of it is as new.
"""

from datetime import timedelta
from typing import Literal

import msgspec

from actors.core.errors import BadInput, Conflict
from storage.ports.alerts import Act, AlertRow, AlertWork, Verdict

State = Literal["normal", "unacknowledged", "acknowledged", "returned", "shelved"]
LONGEST_SHELF_S = 8 * 3_600.0


class Asked(msgspec.Struct, frozen=True):
    """What a person asks for. `occurrence`: the one that was seen; needed to acknowledge and to
    confirm. `version`: the one that was seen, where any other is to be refused."""

    act: Act
    who: str
    occurrence: int | None = None
    version: int | None = None
    note: str = ""
    to: str | None = None
    verdict: Verdict | None = None
    for_s: float | None = None


def state_of(row: AlertRow) -> State:
    """The state of a point when it was read."""
    until = row.work.shelved_until
    if until is not None and until > row.now:
        return "shelved"
    seen = row.work.acknowledged >= row.occurrences
    if row.active:
        return "acknowledged" if seen else "unacknowledged"
    return "normal" if seen else "returned"


def decide(row: AlertRow, asked: Asked) -> AlertWork:
    """The work after the act. Raises Conflict where the point has moved on, and says who was
    first; BadInput for what makes no sense."""
    if asked.version is not None and asked.version != row.work.version:
        raise Conflict(
            f"the alert is at version {row.work.version}, not {asked.version}",
            hint="Look at it again; somebody did something about it.",
        )
    return _ACTS[asked.act](row, asked)


def _acknowledge(row: AlertRow, asked: Asked) -> AlertWork:
    _of_newest(row, asked)
    if row.work.acknowledged >= row.occurrences:
        raise Conflict(
            f"{row.work.acknowledged_by or 'somebody'} has acknowledged it",
            hint="Nothing is left to do.",
        )
    return msgspec.structs.replace(
        row.work,
        acknowledged=row.occurrences,
        acknowledged_by=asked.who,
        acknowledged_at=row.now,
    )


def _confirm(row: AlertRow, asked: Asked) -> AlertWork:
    _of_newest(row, asked)
    if row.work.acknowledged < row.occurrences:
        raise Conflict("it is not acknowledged", hint="Acknowledge it first.")
    if row.work.confirmed >= row.occurrences:
        raise Conflict(f"{row.work.confirmed_by} has confirmed it", hint="Nothing is left to do.")
    return msgspec.structs.replace(row.work, confirmed=row.occurrences, confirmed_by=asked.who)


def _of_newest(row: AlertRow, asked: Asked) -> None:
    if asked.occurrence is None:
        raise BadInput("the occurrence is missing", hint="Name the one that you saw.")
    if asked.occurrence != row.occurrences:
        raise Conflict(
            f"occurrence {asked.occurrence} is not the newest, which is {row.occurrences}",
            hint="Look at it again: it arose since.",
        )


def _assign(row: AlertRow, asked: Asked) -> AlertWork:
    return msgspec.structs.replace(row.work, assignee=asked.to)


def _verdict(row: AlertRow, asked: Asked) -> AlertWork:
    if asked.verdict is None:
        raise BadInput("the verdict is missing", hint="One of true, false, test, nuisance.")
    return msgspec.structs.replace(row.work, verdict=asked.verdict)


def _note(row: AlertRow, asked: Asked) -> AlertWork:
    if not asked.note.strip():
        raise BadInput("the note is empty")
    return row.work


def _shelve(row: AlertRow, asked: Asked) -> AlertWork:
    if not asked.note.strip():
        raise BadInput("a shelf needs a reason", hint="Say why in `note`.")
    if asked.for_s is None or not 0 < asked.for_s <= LONGEST_SHELF_S:
        raise BadInput(f"a shelf is for at most {LONGEST_SHELF_S:.0f} s", hint="Say `for_s`.")
    if state_of(row) == "shelved":
        raise Conflict(f"{row.work.shelved_by} has shelved it", hint="Take it back first.")
    return msgspec.structs.replace(
        row.work,
        acknowledged=min(row.work.acknowledged, row.occurrences - 1),
        shelved_until=row.now + timedelta(seconds=asked.for_s),
        shelved_by=asked.who,
        shelved_reason=asked.note,
    )


def _clear(row: AlertRow, asked: Asked) -> AlertWork:
    return row.work  # the camera's own commit ends the condition


def _unshelve(row: AlertRow, asked: Asked) -> AlertWork:
    if state_of(row) != "shelved":
        raise Conflict("it is not shelved", hint="Nothing is left to do.")
    return msgspec.structs.replace(
        row.work, shelved_until=None, shelved_by=None, shelved_reason=None
    )


_ACTS = {
    "acknowledge": _acknowledge,
    "confirm": _confirm,
    "assign": _assign,
    "verdict": _verdict,
    "note": _note,
    "shelve": _shelve,
    "unshelve": _unshelve,
    "clear": _clear,
}
