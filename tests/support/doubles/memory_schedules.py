"""Double of `storage.ports.background.schedules.ScheduleStore`, over a double of the jobs."""

from collections.abc import Sequence

import msgspec

from storage.ports.background.jobs import NewJob
from storage.ports.background.schedules import NewSchedule, ScheduleRow
from storage.ports.policy import Audit
from tests.support.doubles.memory_jobs import MemoryJobStore


class MemoryScheduleStore:
    """By name; the clock is that of the jobs."""

    def __init__(self, jobs: MemoryJobStore) -> None:
        self.rows: dict[str, ScheduleRow] = {}
        self._jobs = jobs

    async def declare(self, schedules: Sequence[NewSchedule]) -> list[str]:
        changed = []
        for schedule in schedules:
            row = self.rows.get(schedule.name)
            if row is None:
                self.rows[schedule.name] = ScheduleRow(schedule, 0, 0, False, 0, 0, 0)
            elif row.schedule != schedule:
                self._set(row, schedule=schedule, slot_us=0, due_us=0)
            else:
                continue
            changed.append(schedule.name)
        return sorted(changed)

    async def due(self, limit: int) -> list[ScheduleRow]:
        now = self._now()
        rows = [row for row in self.rows.values() if not row.paused and row.due_us <= now]
        rows.sort(key=lambda row: (row.due_us, row.schedule.name))
        return [msgspec.structs.replace(row, now_us=now) for row in rows[:limit]]

    async def advance(self, name: str, *, slot_us: int, next_us: int, due_us: int) -> int:
        row = self.rows.get(name)
        if row is None or row.slot_us != slot_us or row.paused:
            return 0
        row = self._set(
            row, last_slot_us=slot_us or row.last_slot_us, slot_us=next_us, due_us=due_us
        )
        return await self._make(row, f"schedule:{name}") if slot_us else 0

    async def all(self) -> list[ScheduleRow]:
        now = self._now()
        return [msgspec.structs.replace(row, now_us=now) for _, row in sorted(self.rows.items())]

    async def run_now(self, name: str, *, who: str, audit: Audit | None = None) -> int | None:
        row = self.rows.get(name)
        if row is None:
            return None
        if self._jobs.alive(row.schedule.kind, f"schedule:{name}"):
            return 0
        if audit is not None:
            await audit(None)
        return await self._make(row, who)

    async def pause(self, name: str, paused: bool, *, audit: Audit | None = None) -> bool:
        row = self.rows.get(name)
        if row is None or row.paused == paused:
            return False
        if audit is not None:
            await audit(None)
        self._set(row, paused=paused, slot_us=0, due_us=0)
        return True

    async def _make(self, row: ScheduleRow, who: str) -> int:
        wanted = row.schedule
        job = NewJob(
            wanted.kind,
            key=f"schedule:{wanted.name}",
            args=wanted.args,
            max_attempts=wanted.max_attempts,
            who=who,
        )
        (id,) = await self._jobs.enqueue([job])
        if id:
            self._set(row, last_job=id)
        return id

    def _set(self, row: ScheduleRow, **changes: object) -> ScheduleRow:
        name = row.schedule.name
        self.rows[name] = msgspec.structs.replace(row, **changes)
        return self.rows[name]

    def _now(self) -> int:
        self._jobs.now_us += 1
        return self._jobs.now_us
