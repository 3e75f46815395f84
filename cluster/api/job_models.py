"""What the cluster API reads and answers about jobs and schedules."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from actors.core.times import Rfc3339, rfc3339
from cluster.api.models import Input
from storage.ports.background.jobs import JobRow, JobState
from storage.ports.background.schedules import ScheduleRow

JobReason = Annotated[
    str,
    msgspec.Meta(min_length=3, max_length=500, pattern=r"\A[^\x00-\x1f\x7f\ud800-\udfff]*\Z"),
]


class JobWhy(Input, frozen=True):
    """Why; it is kept with the job."""

    reason: JobReason


class JobLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A job in a list. `progress` has `done` and `total` where it makes a bar. `cancel`: its worker
    is asked to stop."""

    id: int
    kind: str
    state: JobState
    attempt: int
    max_attempts: int
    run_at: Rfc3339
    created: Rfc3339
    lane: str = ""
    key: str = ""
    who: str = ""
    owner: str = ""
    error: str = ""
    started: Rfc3339 | None = None
    finished: Rfc3339 | None = None
    deadline: Rfc3339 | None = None
    lease_until: Rfc3339 | None = None
    cancel: bool = False
    progress: dict[str, Any] = {}


class JobShown(JobLine, frozen=True, omit_defaults=True):
    """One, with its arguments and its result."""

    args: dict[str, Any] = {}
    result: dict[str, Any] = {}


class JobPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """The newest first."""

    jobs: list[JobLine]
    next: int | None = None


class ScheduleShown(msgspec.Struct, frozen=True, omit_defaults=True):
    """What makes jobs of `kind`, every `every_s` seconds, or daily `at` HH:MM in `zone`. `next` is
    missing while it is paused or not reckoned yet."""

    name: str
    kind: str
    paused: bool
    jitter_s: float
    every_s: float | None = None
    at: str | None = None
    zone: str | None = None
    next: Rfc3339 | None = None
    last: Rfc3339 | None = None
    last_job: int | None = None


class ScheduleList(msgspec.Struct, frozen=True):
    """By name."""

    schedules: list[ScheduleShown]


class JobMade(msgspec.Struct, frozen=True):
    """The job that a schedule made."""

    schedule: str
    job: int


def line(row: JobRow) -> JobLine:
    """A job as a list shows it."""
    return JobLine(**_common(row))


def job(row: JobRow) -> JobShown:
    """A job as it is shown by itself."""
    return JobShown(**_common(row), args=row.args, result=row.result)


def page(rows: Sequence[JobRow], limit: int) -> JobPage:
    """A page, and where the next begins."""
    return JobPage([line(row) for row in rows], rows[-1].id if len(rows) == limit else None)


def schedule(row: ScheduleRow) -> ScheduleShown:
    """A schedule as it is shown."""
    of, daily = row.schedule, not row.schedule.every_s
    return ScheduleShown(
        of.name,
        of.kind,
        row.paused,
        of.jitter_s,
        every_s=of.every_s or None,
        at=of.at if daily else None,
        zone=of.zone if daily else None,
        next=None if row.paused else _time(row.due_us),
        last=_time(row.last_slot_us),
        last_job=row.last_job or None,
    )


def _common(row: JobRow) -> dict[str, Any]:
    names = ("id", "kind", "state", "attempt", "max_attempts", "lane", "key", "who", "owner")
    same = (*names, "error", "cancel", "progress")
    times = ("run_at", "created", "started", "finished", "deadline", "lease_until")
    return {name: getattr(row, name) for name in same} | {
        name: _time(getattr(row, f"{name}_us")) for name in times
    }


def _time(us: int) -> Rfc3339 | None:
    return rfc3339(us) if us else None
