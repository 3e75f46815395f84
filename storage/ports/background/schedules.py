"""What workers ask of storage about schedules: what makes jobs by time. When the next slot is, the
caller reckons (`workers.timetable`); here it is only kept, and moved on by compare-and-swap."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from storage.ports.background.jobs import Values
from storage.ports.policy import Audit


class NewSchedule(msgspec.Struct, frozen=True):
    """Makes a job of `kind` every `every_s` seconds, or daily `at` ``HH:MM`` in `zone`, up to
    `jitter_s` seconds later."""

    name: str
    kind: str
    args: Values = {}
    max_attempts: int = 8
    every_s: float = 0.0
    at: str = ""
    zone: str = "UTC"
    jitter_s: float = 0.0


class ScheduleRow(msgspec.Struct, frozen=True):
    """One as read. `slot_us` is the next nominal moment, `due_us` when it counts (0: not reckoned
    yet); `now_us` the database's clock. Microseconds since 1970."""

    schedule: NewSchedule
    slot_us: int
    due_us: int
    paused: bool
    last_slot_us: int
    last_job: int
    now_us: int


class ScheduleStore(Protocol):
    """Two that do the same at once make one job. A schedule has one job alive at a time."""

    async def declare(self, schedules: Sequence[NewSchedule]) -> list[str]:
        """They shall be so; the names of new or changed ones, whose slot is open again."""

    async def due(self, limit: int) -> list[ScheduleRow]:
        """Those whose time has come, or is not reckoned yet."""

    async def advance(self, name: str, *, slot_us: int, next_us: int, due_us: int) -> int:
        """From the slot that was read (0: none) to the next; the job that it made. 0: another was
        faster, the last one still lives, or there was no slot yet."""

    async def all(self) -> list[ScheduleRow]:
        """By name."""

    async def run_now(self, name: str, *, who: str, audit: Audit | None = None) -> int | None:
        """Its job, beside its slots; 0 while one lives, None where there is no such schedule."""

    async def pause(self, name: str, paused: bool, *, audit: Audit | None = None) -> bool:
        """Stop making jobs, or go on with the next slot to come. False: it was so, or is not
        there."""
