"""Doubles of the PostgreSQL stores: the same contracts in memory, with failure switches (`faults`).
One database, several stores over it.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from actors.core.errors import BadInput, Conflict, EyrieError
from actors.core.messages.commits import Activation, CommitRow, Ownership, Position
from storage.ports.cameras import key_of
from storage.ports.dead_letters import DeadLetterRow, NewLetter
from storage.ports.event_queries import EventQuery, Key, start_of
from storage.ports.events import EventPage, EventRow
from storage.ports.policy import Audit
from storage.ports.registry import CameraRecord, SiteRecord
from storage.postgres.rows import MAX_DETAIL, find_poison, storable
from tests.support.doubles.faults import Faults


@dataclass
class Row:
    """A camera's row."""

    position: Position
    owner: str | None = None
    generation: int = 0
    snapshot: bytes | None = None
    sessions: set[str] = field(default_factory=set)


@dataclass
class StoredRow:
    """An event and the site it happened in."""

    site: str
    row: EventRow


@dataclass
class MemoryDatabase:
    """What the stores share. Tests may look into it."""

    sites: dict[str, SiteRecord] = field(default_factory=dict)
    cameras: dict[str, CameraRecord] = field(default_factory=dict)
    deleted_sites: dict[str, SiteRecord] = field(default_factory=dict)
    deleted_cameras: dict[str, CameraRecord] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    events: list[StoredRow] = field(default_factory=list)
    homeless: int = 0
    oldest_snapshot_s: float = 0.0
    dead_letters: list[DeadLetterRow] = field(default_factory=list)
    registered_by: dict[str, str] = field(default_factory=dict)  # camera → device
    faults: Faults = field(default_factory=Faults)

    def at_home(self, event: StoredRow) -> bool:
        """Whether it belongs to a camera that was ever registered at its site."""
        record = self.cameras.get(event.row.camera) or self.deleted_cameras.get(event.row.camera)
        return record is not None and record.site == event.site


def number(database: MemoryDatabase, camera: str, epoch: str, offset: int) -> None:
    """A camera's events are numbered so, as its owner commits it."""
    if (row := database.rows.get(camera)) is not None:
        row.position = msgspec.structs.replace(row.position, epoch=epoch, last_offset=offset)


class MemoryCameraStore:
    """`storage.ports.cameras.CameraStore`. Operations: assign, activate, open_session, commit,
    ownership, owners."""

    def __init__(self, database: MemoryDatabase) -> None:
        self.database = database
        self.faults = database.faults

    async def assign(self, camera: str, owner: str | None, *, previous: str | None) -> bool:

        def act() -> bool:
            row = self.database.rows.get(camera)
            if row is None or row.owner not in (previous, owner):
                return False
            row.owner = owner
            return True

        return await self.faults.run("assign", act)

    async def activate(
        self, owner: str, cameras: Sequence[str], *, above: Mapping[str, int] | None = None
    ) -> list[Activation]:

        def act() -> list[Activation]:
            found = []
            for camera in sorted(cameras):
                row = self.database.rows.get(camera)
                if row is None or row.owner != owner or camera not in self.database.cameras:
                    continue
                row.generation = max(row.generation, (above or {}).get(camera, 0)) + 1
                record = self.database.cameras[camera]
                found.append(
                    Activation(
                        camera,
                        record.site,
                        row.generation,
                        row.position,
                        row.snapshot,
                        record.scene,
                        record.scene_version,
                    )
                )
            return found

        return await self.faults.run("activate", act)

    async def open_session(self, camera: str, owner: str, generation: int, session: str) -> str:

        def act() -> str:
            row = self.database.rows.get(camera)
            if row is None or (row.owner, row.generation) != (owner, generation):
                return "fenced"
            if row.position.session != session:
                if session in row.sessions:
                    return "superseded"
                row.sessions.add(session)
                row.position = msgspec.structs.replace(row.position, session=session, last_seq=0)
            return "opened"

        return await self.faults.run("open_session", act)

    async def commit(self, rows: Sequence[CommitRow]) -> set[str]:
        if len({row.camera for row in rows}) != len(rows):
            raise BadInput("a commit holds one row for each camera")
        if (poison := find_poison(rows)) is not None:
            raise poison
        return await self.faults.run(
            "commit", lambda: {row.camera for row in rows if self._move(row)}
        )

    def _move(self, new: CommitRow) -> bool:
        row = self.database.rows.get(new.camera)
        if row is None or (row.owner, row.generation) != (new.owner, new.generation):
            return False
        if _fence_of(row.position) != _fence_of(new.before):
            return False
        row.position = msgspec.structs.replace(new.after, session=row.position.session)
        row.snapshot = new.snapshot
        for stored in new.events:
            e = stored.event
            kept = (stored.body, stored.hash, stored.received_us, tuple(stored.personal))
            event = EventRow(new.camera, e.epoch, e.offset, *kept)
            self.database.events.append(StoredRow(e.site, event))
        for letter in new.dead_letters:
            _dead(
                self.database,
                new.camera,
                letter.session,
                letter.seq,
                letter.code,
                letter.detail,
                letter.raw,
                letter.received_us,
            )
        for replayed in new.replayed:
            _mark(self.database, [replayed.letter], "replayed", by=replayed.by, camera=new.camera)
        return True

    async def ownership(self, cameras: Sequence[str]) -> dict[str, Ownership]:

        def act() -> dict[str, Ownership]:
            rows = {
                camera: self.database.rows[camera]
                for camera in cameras
                if camera in self.database.rows
            }
            return {
                camera: Ownership(camera, row.owner, row.generation, row.position)
                for camera, row in rows.items()
            }

        return await self.faults.run("ownership", act)

    async def owners(self) -> dict[str, str | None]:
        rows, cameras = self.database.rows, self.database.cameras
        return await self.faults.run(
            "owners",
            lambda: {camera: row.owner for camera, row in rows.items() if camera in cameras},
        )

    async def homes(self) -> dict[str, str]:
        cameras = self.database.cameras
        return await self.faults.run(
            "homes", lambda: {camera: record.site for camera, record in cameras.items()}
        )


def _fence_of(position: Position) -> tuple[str, int, str, int]:
    return position.session, position.last_seq, position.epoch, position.last_offset


def _dead(
    database: MemoryDatabase,
    camera: str,
    session: str,
    seq: int,
    code: str,
    detail: str,
    raw: bytes,
    received_us: int,
) -> int:
    number = len(database.dead_letters) + 1
    texts = [storable(text) for text in (camera, session, code)]
    detail = storable(detail)[:MAX_DETAIL]
    database.dead_letters.append(
        DeadLetterRow(number, texts[0], texts[1], seq, texts[2], detail, raw, received_us, "new")
    )
    return number


class MemoryEventStore:
    """`storage.ports.events.EventStore`. Operations: after, latest, since, export, homeless."""

    def __init__(self, database: MemoryDatabase) -> None:
        self.database = database
        self.faults = database.faults

    def _of(self, camera: str) -> list[EventRow]:
        found = (
            stored.row
            for stored in self.database.events
            if stored.row.camera == camera and self.database.at_home(stored)
        )
        return sorted(found, key=lambda row: (row.epoch, row.offset))

    async def after(self, camera: str, epoch: str, offset: int, limit: int) -> list[EventRow]:
        return await self.faults.run(
            "after",
            lambda: [r for r in self._of(camera) if r.epoch == epoch and r.offset > offset][:limit],
        )

    async def homeless(self) -> int:
        """`database.homeless` sets it."""
        return await self.faults.run("homeless", lambda: self.database.homeless)

    async def latest(self, camera: str, limit: int) -> list[EventRow]:
        return await self.faults.run("latest", lambda: self._of(camera)[-limit:])

    async def numbering(self, camera: str) -> tuple[str, int]:
        row = self.database.rows.get(camera)
        found = ("", 0) if row is None else (row.position.epoch, row.position.last_offset)
        return await self.faults.run("latest", lambda: found)

    async def page(
        self, query: EventQuery, *, newest: bool, beyond: Key | None, limit: int
    ) -> EventPage:
        """Operation: page."""

        def act() -> EventPage:
            found = sorted(
                (
                    one.row
                    for one in self.database.events
                    if self.database.at_home(one) and _takes(query, one)
                ),
                key=key_of,
                reverse=newest,
            )
            start = start_of(query, newest=newest) if beyond is None else beyond
            found = [
                row for row in found if (key_of(row) < start if newest else key_of(row) > start)
            ]
            return EventPage(
                found[:limit], key_of(found[limit - 1]) if len(found) > limit else None
            )

        return await self.faults.run("page", act)

    async def oldest_snapshot_s(self) -> float:
        """`database.oldest_snapshot_s` sets it."""
        return await self.faults.run("oldest_snapshot_s", lambda: self.database.oldest_snapshot_s)

    async def export(self, cameras: Sequence[str] | None = None) -> AsyncIterator[EventRow]:

        def act() -> Iterator[EventRow]:
            rows = (stored.row for stored in self.database.events)
            found = (row for row in rows if cameras is None or row.camera in cameras)
            return iter(sorted(found, key=lambda row: (row.camera, row.epoch, row.offset)))

        for row in await self.faults.run("export", act):
            yield row


class MemoryDeadLetterStore:
    """`storage.ports.dead_letters.DeadLetterStore`. Operations: add, add_many, list, get, mark."""

    def __init__(self, database: MemoryDatabase) -> None:
        self.database = database
        self.faults = database.faults

    async def add_many(self, letters: Sequence[NewLetter]) -> list[int]:

        def act() -> list[int]:
            return [
                _dead(self.database, n.camera, n.session, 0, n.code, n.detail, n.raw, n.received_us)
                for n in letters
            ]

        return await self.faults.run("add_many", act)

    async def add(
        self, camera: str, session: str, code: str, detail: str, raw: bytes, received_us: int
    ) -> int:
        return await self.faults.run(
            "add", lambda: _dead(self.database, camera, session, 0, code, detail, raw, received_us)
        )

    async def list(
        self,
        *,
        camera: str | None = None,
        status: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> list[DeadLetterRow]:

        def fits(letter: DeadLetterRow) -> bool:
            return (
                camera in (None, letter.camera)
                and status in (None, letter.status)
                and letter.id > after
            )

        return await self.faults.run(
            "list",
            lambda: [letter for letter in self.database.dead_letters if fits(letter)][:limit],
        )

    async def get(self, letter: int) -> DeadLetterRow | None:
        return await self.faults.run(
            "get",
            lambda: next((one for one in self.database.dead_letters if one.id == letter), None),
        )

    async def mark(
        self,
        ids: Sequence[int],
        status: str,
        *,
        reason: str = "",
        by: str = "",
        audit: Audit | None = None,
    ) -> int:

        def act() -> int:
            if status not in ("new", "replayed", "discarded"):
                raise Conflict(f"no such status: {status}")
            return _mark(self.database, ids, status, reason=reason, by=by)

        before = [*self.database.dead_letters]
        marked = await self.faults.run("mark", act)
        if marked and audit is not None:
            try:
                await audit(None)
            except EyrieError:
                self.database.dead_letters[:] = before
                raise
        return marked


def _takes(query: EventQuery, stored: StoredRow) -> bool:
    row, event = stored.row, msgspec.json.decode(stored.row.body)
    if not query.low_us <= row.received_us < query.high_us:
        return False
    if query.camera is None and (stored.site not in query.sites or row.camera in query.exclude):
        return False
    alone = (
        row.camera == query.camera
        and query.epoch in (None, row.epoch)
        and row.offset > query.after_offset
    )
    if query.camera is not None and not alone:
        return False
    filters = {
        "type": query.types,
        "severity": query.severities,
        "zone": query.zones,
        "line": query.lines,
        "label": query.labels,
        "track": query.tracks,
    }
    return all(wanted is None or event.get(name) in wanted for name, wanted in filters.items())


def _mark(
    database: MemoryDatabase,
    ids: Sequence[int],
    status: str,
    *,
    reason: str = "",
    by: str = "",
    camera: str | None = None,
) -> int:
    marked = 0
    for index, letter in enumerate(database.dead_letters):
        if letter.id in ids and letter.status == "new" and camera in (None, letter.camera):
            handled = msgspec.structs.replace(
                letter, status=status, reason=storable(reason)[:MAX_DETAIL], by=storable(by)
            )
            database.dead_letters[index] = handled
            marked += 1
    return marked
