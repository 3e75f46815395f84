"""Makes the jobs of schedules when they are due. Every worker runs one: a slot is moved on by
compare-and-swap, so several make one job."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence

from actors.core.errors import EyrieError
from storage.ports.background.schedules import NewSchedule, ScheduleRow, ScheduleStore
from workers.timetable import Timing, check, due_us, next_slot

DUE = 50  # schedules that are looked at in one go

log = logging.getLogger("eyrie.workers.schedules")


class Scheduler:
    """`own` are the schedules of this release. `made` is called when there is a job; `look_s`
    seconds lie between two looks."""

    def __init__(
        self,
        store: ScheduleStore,
        own: Sequence[NewSchedule],
        *,
        made: Callable[[], None] = lambda: None,
        look_s: float = 1.0,
    ) -> None:
        for schedule in own:
            check(timing_of(schedule))
        self._store = store
        self._own = own
        self._made = made
        self._look_s = look_s
        self._declared = False
        self._away = False

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self.round()
                self._away = False
            except EyrieError as error:
                if not self._away:
                    log.warning("schedules wait: %s", error)
                self._away = True
            await asyncio.sleep(self._look_s * random.uniform(0.5, 1.0))

    async def round(self) -> int:
        """Move on what is due; how many jobs were made. Raises the family."""
        if not self._declared:
            await self._store.declare(self._own)
            self._declared = True
        made = 0
        for row in await self._store.due(DUE):
            made += await self._advance(row) > 0
        if made:
            self._made()
        return made

    async def _advance(self, row: ScheduleRow) -> int:
        """By the database's clock. However many slots were missed, the next one is to come."""
        name, timing = row.schedule.name, timing_of(row.schedule)
        following = next_slot(timing, max(row.now_us, row.slot_us))
        job = await self._store.advance(
            name, slot_us=row.slot_us, next_us=following, due_us=due_us(name, timing, following)
        )
        if job:
            log.info("schedule %s made job %d", name, job)
        return job


def timing_of(schedule: NewSchedule) -> Timing:
    """When it makes jobs."""
    return Timing(schedule.every_s, schedule.at, schedule.zone, schedule.jitter_s)
