"""Schedules in PostgreSQL: `storage.ports.background.schedules.ScheduleStore`."""

from collections.abc import Mapping, Sequence
from typing import Any

from actors.core.times import from_us, to_us
from storage.ports.background.schedules import NewSchedule, ScheduleRow
from storage.ports.policy import Audit
from storage.postgres.background.jobs import as_json, values
from storage.postgres.pool import Database
from storage.postgres.rows import columns
from storage.postgres.statements import sql


class PostgresScheduleStore:
    """`storage.ports.background.schedules.ScheduleStore` over one :class:`Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sql("schedules")

    async def declare(self, schedules: Sequence[NewSchedule]) -> list[str]:
        rows = sorted(
            (
                s.name,
                s.kind,
                as_json(s.args, "the arguments"),
                s.max_attempts,
                s.every_s,
                s.at,
                s.zone,
                s.jitter_s,
                "eyrie",
            )
            for s in schedules
        )
        changed = await self._database.fetch(self._sql["declare"], *columns(rows, 9), writing=True)
        return [row[0] for row in changed]

    async def due(self, limit: int) -> list[ScheduleRow]:
        return [_row(row) for row in await self._database.fetch(self._sql["due"], limit)]

    async def advance(self, name: str, *, slot_us: int, next_us: int, due_us: int) -> int:
        seen = from_us(slot_us) if slot_us else None
        arguments = (name, seen, from_us(next_us), from_us(due_us))
        id = await self._database.fetch_value(self._sql["advance"], *arguments, writing=True)
        return await self._made(name, id)

    async def all(self) -> list[ScheduleRow]:
        return [_row(row) for row in await self._database.fetch(self._sql["all"])]

    async def run_now(self, name: str, *, who: str, audit: Audit | None = None) -> int | None:
        if all(row.schedule.name != name for row in await self.all()):
            return None
        rows = await self._database.change(self._sql["run_now"], name, who, audit=audit)
        return await self._made(name, rows[0][0] if rows else None)

    async def pause(self, name: str, paused: bool, *, audit: Audit | None = None) -> bool:
        return bool(await self._database.change(self._sql["pause"], name, paused, audit=audit))

    async def _made(self, name: str, id: int | None) -> int:
        """Remember its last job, for people alone: a crash in between loses no job."""
        if id is None:
            return 0
        await self._database.fetch(self._sql["ran"], name, id, writing=True)
        return id


def _row(row: Mapping[str, Any]) -> ScheduleRow:
    def us(name: str) -> int:
        return 0 if row[name] is None else to_us(row[name])

    plain = ("name", "kind", "max_attempts", "every_s", "at", "zone", "jitter_s")
    return ScheduleRow(
        NewSchedule(**{name: row[name] for name in plain}, args=values(row["args"])),
        us("slot"),
        us("due"),
        row["paused"],
        us("last_slot"),
        row["last_job"] or 0,
        us("now"),
    )
