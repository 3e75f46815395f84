"""Between our structs and PostgreSQL's rows and array parameters. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from actors.core.errors import PoisonRow
from actors.core.messages.commits import Activation, CommitRow, DeadLetter, Ownership, Position
from actors.core.messages.events import StoredEvent
from actors.core.times import to_us
from storage.ports.dead_letters import DeadLetterRow, NewLetter
from storage.ports.events import EventRow
from storage.ports.registry import CameraRecord, SiteRecord

MAX_DETAIL = 1000  # characters of a dead letter's detail
_BIGINT = range(-(2**63), 2**63)


def position(row: Mapping[str, Any]) -> Position:
    """The position columns of a `positions` row."""
    return Position(row["session"], row["last_seq"], row["epoch"], row["last_offset"], row["chain"])


def activation(row: Mapping[str, Any]) -> Activation:
    """A row of the statement `activate`."""
    return Activation(
        row["camera"],
        row["site"],
        row["generation"],
        position(row),
        row["snapshot"],
        row["scene"].encode(),
        row["scene_version"],
    )


def ownership(row: Mapping[str, Any]) -> Ownership:
    """A row of the statement `ownership`."""
    return Ownership(row["camera"], row["owner"], row["generation"], position(row))


def event(row: Mapping[str, Any]) -> EventRow:
    """A row of `events`."""
    return EventRow(
        row["camera"], row["epoch"], row["offset"], row["body"], row["hash"], to_us(row["received"])
    )


def camera(row: Mapping[str, Any]) -> CameraRecord:
    """A row of `cameras`."""
    return CameraRecord(
        row["camera"],
        row["site"],
        row["name"],
        row["scene"].encode(),
        row["scene_version"],
        list(row["tags"]),
        row["version"],
        row["deleted"],
        row["seen"],
        row["auto_registered"],
    )


def site(row: Mapping[str, Any]) -> SiteRecord:
    """A row of `sites`."""
    return SiteRecord(row["site"], row["name"], row["place"].encode(), row["version"])


def dead_letter(row: Mapping[str, Any]) -> DeadLetterRow:
    """A row of `dead_letters`."""
    return DeadLetterRow(
        row["id"],
        row["camera"],
        row["session"],
        row["seq"],
        row["code"],
        row["detail"],
        row["raw"],
        to_us(row["received"]),
        row["status"],
        row["reason"],
        row["handled_by"],
    )


def storable(text: str) -> str:
    """`text` as PostgreSQL takes it: NUL and lone surrogates become U+FFFD. For what is kept
    *because* it was bad."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def columns(rows: Iterable[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows turned into `width` columns, for ``unnest``."""
    turned = [list(column) for column in zip(*rows, strict=True)]
    return turned or [[] for _ in range(width)]


def position_columns(rows: Sequence[CommitRow]) -> list[list[Any]]:
    """Parameters 1..12 of the commit statements."""
    return columns(
        (
            (
                row.camera,
                row.owner,
                row.generation,
                row.before.session,
                row.before.last_seq,
                row.before.epoch,
                row.before.last_offset,
                row.after.last_seq,
                row.after.epoch,
                row.after.last_offset,
                row.after.chain,
                row.snapshot,
            )
            for row in rows
        ),
        12,
    )


def event_columns(rows: Sequence[CommitRow]) -> list[list[Any]]:
    """Parameters 13..28 of `commit_whole`."""
    return columns((_event(row.camera, stored) for row in rows for stored in row.events), 16)


def _event(camera: str, stored: StoredEvent) -> tuple[Any, ...]:
    e = stored.event
    return (
        camera,
        e.epoch,
        e.offset,
        stored.received_us,
        stored.time_us,
        e.type,
        e.severity,
        e.site,
        e.session,
        e.seq,
        e.track,
        e.label,
        e.zone,
        e.line,
        stored.body,
        stored.hash,
    )


def letter_columns(rows: Sequence[CommitRow]) -> list[list[Any]]:
    """Parameters 29..35 of `commit_whole`. A dead letter must never be poison itself, so its texts
    are made storable."""
    return columns((_letter(row.camera, letter) for row in rows for letter in row.dead_letters), 7)


def new_letter_columns(letters: Sequence[NewLetter]) -> list[list[Any]]:
    """Parameters of the statement `add`; the texts are made storable."""
    return columns(
        (
            (
                *(
                    storable(text)[:MAX_DETAIL]
                    for text in (one.camera, one.session, one.code, one.detail)
                ),
                one.raw,
                one.received_us,
            )
            for one in letters
        ),
        6,
    )


def replayed_columns(rows: Sequence[CommitRow]) -> list[list[Any]]:
    """Parameters 36..38 of `commit_whole`."""
    return columns(
        (
            (row.camera, replayed.letter, storable(replayed.by))
            for row in rows
            for replayed in row.replayed
        ),
        3,
    )


def _letter(camera: str, letter: DeadLetter) -> tuple[Any, ...]:
    detail = storable(letter.detail)[:MAX_DETAIL]
    return (
        camera,
        storable(letter.session),
        letter.seq,
        storable(letter.code),
        detail,
        letter.raw,
        letter.received_us,
    )


def find_poison(rows: Sequence[CommitRow]) -> PoisonRow | None:
    """The first row with a value that PostgreSQL will never take, for a commit that was refused for
    its data; None when none is seen."""
    for row in rows:
        for values in (position_columns([row]), event_columns([row]), letter_columns([row])):
            for value in (value for column in values for value in column):
                if why := _why_poison(value):
                    return PoisonRow(f"camera {row.camera!r} has {why}", camera=row.camera)
    return None


def _why_poison(value: Any) -> str | None:
    if isinstance(value, str):
        if "\x00" in value:
            return "a NUL character in a text"
        if not value.isascii() and storable(value) != value:
            return "a lone surrogate in a text"
    if isinstance(value, int) and value not in _BIGINT:
        return "a number beyond 64 bits"
    return None
