"""What goes out of a camera next: filter, view, holes (pure)."""

from collections.abc import Collection, Sequence

import msgspec

from actors.core.messages.events import published
from connectors.sinks import envelope as envelopes
from connectors.sinks.envelope import CloudEvent
from connectors.sinks.spec import Filter, wants
from hub.access import redaction
from storage.ports.background.sinks import Cursor, DueCamera, SinkHole
from storage.ports.events import EventRow

LOST = "retention was faster than this sink"


class SinkRuling(msgspec.Struct, frozen=True):
    """What policy says of one camera: whether the sink may have its events, without which
    classes."""

    allow: bool
    redact: tuple[str, ...] = ()


class Step(msgspec.Struct, frozen=True):
    """`message` goes out, None: nothing; then the cursor is `after`."""

    message: CloudEvent | None
    after: Cursor


class Plan(msgspec.Struct, frozen=True):
    """The steps in order, and the holes that they declare first."""

    steps: tuple[Step, ...]
    lost: tuple[SinkHole, ...] = ()


def plan(
    due: DueCamera,
    rows: Sequence[EventRow],
    filter: Filter,
    ruling: SinkRuling,
    holes: Collection[SinkHole] = (),
) -> Plan:
    """`rows` are those beyond the cursor. `holes`: what was skipped of this camera."""
    skipped = {(one.epoch, one.first): one for one in holes if one.kind == "skipped"}
    steps: list[Step] = []
    lost: list[SinkHole] = []
    at = due.cursor
    for row in rows:
        if (missing := _missing(at, row.epoch, row.offset, due)) is not None:
            lost.append(missing)
            steps.append(_tell(missing, due, at, ruling))
            at = steps[-1].after
        steps.append(_step(row, due, at, filter, ruling, skipped.get((row.epoch, row.offset))))
        at = steps[-1].after
    if not rows:
        steps += _to_position(due, at, ruling, lost)
    return Plan(tuple(steps), tuple(lost))


def _missing(at: Cursor, epoch: str, offset: int, due: DueCamera) -> SinkHole | None:
    """What should stand between the cursor and this event. Before the first one that a sink ever
    reads nothing is missed."""
    if not at.epoch:
        return None
    first = at.offset + 1 if epoch == at.epoch else 1
    if offset == first:
        return None
    return SinkHole(due.camera, epoch, first, offset - 1, "lost", LOST)


def _to_position(
    due: DueCamera, at: Cursor, ruling: SinkRuling, lost: list[SinkHole]
) -> list[Step]:
    """There is nothing left to read, whatever the position says: it was dropped, or an epoch has
    no events yet."""
    missing = _missing(at, due.epoch, due.last_offset + 1, due)
    after = msgspec.structs.replace(at, epoch=due.epoch, offset=due.last_offset)
    if missing is None:
        return [Step(None, after)]
    lost.append(missing)
    return [_tell(missing, due, at, ruling)]


def _tell(missing: SinkHole, due: DueCamera, at: Cursor, ruling: SinkRuling) -> Step:
    after = msgspec.structs.replace(at, epoch=missing.epoch, offset=missing.last)
    if not ruling.allow:
        return Step(None, after)
    message = envelopes.hole(
        due.site,
        due.camera,
        missing.epoch,
        missing.first,
        missing.last,
        at.sent,
        why=missing.reason,
        lost=missing.kind == "lost",
    )
    return Step(message, msgspec.structs.replace(after, sent=message.id))


def _step(
    row: EventRow,
    due: DueCamera,
    at: Cursor,
    filter: Filter,
    ruling: SinkRuling,
    skipped: SinkHole | None,
) -> Step:
    received_us = row.received_us or at.received_us
    after = Cursor(row.epoch, row.offset, at.sent, received_us, at.place)
    if skipped is not None:
        told = Step(None, after) if skipped.silent else _tell(skipped, due, at, ruling)
        return Step(told.message, msgspec.structs.replace(after, sent=told.after.sent))
    message = shown(row, at.sent, filter, ruling)
    if message is None:
        return Step(None, after)
    return Step(message, msgspec.structs.replace(after, sent=message.id))


def shown(row: EventRow, previous: str, filter: Filter, ruling: SinkRuling) -> CloudEvent | None:
    """An event as the sink may have it, None where it is not for it. The filter sees what the sink
    may see, or it would tell what is hidden."""
    if not ruling.allow or not row.body:
        return None
    body = redaction.event(published(row.body, row.hash, row.personal), ruling.redact)
    event = envelopes.head(body)
    if not wants(
        filter, type=event.type, severity=event.severity, site=event.site, camera=event.camera
    ):
        return None
    return envelopes.envelope(body, previous, redacted=bool(ruling.redact), known=event)
