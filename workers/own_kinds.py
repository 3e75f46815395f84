"""The kinds of jobs of this release, and the schedules that make them."""

from collections.abc import Sequence

from actors.core.errors import Unavailable
from actors.core.settings import Settings
from privacy.erasure import Erasure, ErasureParts
from privacy.keep_rules import KeepRules
from privacy.retention import RETENTION, ClassRetention
from storage.events.partitions import drop_old, make_partitions
from storage.ports.background.jobs import JobStore, Values
from storage.ports.background.schedules import NewSchedule
from storage.postgres.people.letters import forget_letter_keys
from storage.postgres.people.privacy import ERASURE
from storage.postgres.row_retention import forget
from storage.stores import Stores, keyring_folder
from workers.backup_jobs import BACKUP_SCHEDULES, backup_kinds
from workers.counting import fold_counts
from workers.kinds import JobKind, RunningJob

DONE_DAYS = 14.0  # how long finished jobs are remembered
DEAD_DAYS = 60.0  # how long dead ones wait for somebody
SLICE = 1_000  # rows of one deletion

SCHEDULES: Sequence[NewSchedule] = (
    NewSchedule("events.retention", "events.retention", at="00:20", jitter_s=1_800),
    NewSchedule("jobs.retention", "jobs.retention", every_s=3_600, jitter_s=600),
    NewSchedule("counts.fold", "counts.fold", every_s=60, jitter_s=10),
    NewSchedule(RETENTION, RETENTION, at="00:50", jitter_s=1_800),
    NewSchedule("rows.retention", "rows.retention", every_s=900, jitter_s=300),
)


def kinds_of(stores: Stores, settings: Settings) -> list[JobKind]:
    """Over the stores of a worker."""
    return [
        JobKind("events.retention", lambda _job: _events(stores, settings), timeout_s=1_800.0),
        JobKind("jobs.retention", lambda job: forget_jobs(job, stores.jobs)),
        JobKind("rows.retention", lambda _job: _forget_rows(stores, settings)),
        JobKind("counts.fold", lambda job: fold_counts(job, stores.counts), timeout_s=3_600.0),
        JobKind(RETENTION, lambda job: _forget_values(job, stores, settings), timeout_s=3_600.0),
        *backup_kinds(settings),
        JobKind(ERASURE, lambda job: _erase(job, stores, settings), timeout_s=3_600.0),
    ]


def schedules_of(settings: Settings) -> Sequence[NewSchedule]:
    """Those that a worker with these settings declares."""
    return (*SCHEDULES, *BACKUP_SCHEDULES) if settings.backup.dir else SCHEDULES


async def _erase(job: RunningJob, stores: Stores, settings: Settings) -> Values:
    """Erasures that were asked for by one person and approved by another."""
    parts = ErasureParts.of(stores, settings, keyring_folder(settings))
    return await Erasure(parts, str(job.args["request"])).run(job)


async def _forget_values(job: RunningJob, stores: Stores, settings: Settings) -> Values:
    """Personal values whose class has had its time."""
    retention = ClassRetention(
        stores.database,
        stores.keyring,
        stores.audit_log,
        KeepRules(settings.personal.keep),
        settings.policy.key_file,
    )
    return await retention.run(job)


async def forget_jobs(
    job: RunningJob, jobs: JobStore, *, done_days: float = DONE_DAYS, dead_days: float = DEAD_DAYS
) -> Values:
    """What ended long ago, in slices."""
    gone = 0
    while went := await jobs.forget(done_days=done_days, dead_days=dead_days, limit=SLICE):
        gone += went
        await job.note({"done": gone})
    return {"jobs": gone}


async def _events(stores: Stores, settings: Settings) -> Values:
    """Days are made ahead and dropped when they are over, as the supervisor does by itself too: the
    store lets one at a time through."""
    made = await make_partitions(stores.database)
    gone = await drop_old(stores.database, settings.events.keep_days)
    if made.failed:
        raise Unavailable("; ".join(f"{name}: {why}" for name, why in made.failed.items()))
    return {"made": made.made, "dropped": [one.partition for one in gone.dropped]}


async def _forget_rows(stores: Stores, settings: Settings) -> Values:
    """Dead letters and sessions that are over."""
    gone = await forget(stores.database, settings.dead_letters, settings.sessions)
    await forget_letter_keys(stores.database, stores.keyring)
    letters = {"old_letters": gone.old_letters, "large_letters": gone.large_letters}
    return {**letters, "sessions": gone.sessions}
