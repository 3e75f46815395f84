"""Jobs in PostgreSQL: `storage.ports.background.jobs.JobStore`."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from actors.core.errors import BadInput
from actors.core.times import to_us
from storage.ports.background.jobs import (
    MAX_ERROR,
    MAX_JSON,
    MAX_NAME,
    Claim,
    ClaimedJob,
    FailedJob,
    FinishedJob,
    JobCount,
    JobRow,
    JobState,
    NewJob,
    Values,
)
from storage.ports.policy import Audit
from storage.postgres.pool import Database
from storage.postgres.rows import storable
from storage.postgres.statements import sql

LAST = 2**63 - 1  # no id is larger


class PostgresJobStore:
    """`storage.ports.background.jobs.JobStore` over one :class:`Database`."""

    def __init__(self, database: Database, statements: Mapping[str, str] | None = None) -> None:
        """`statements` in place of ``sql/jobs.sql``, for tests that take one away."""
        self._database = database
        self._sql = statements or sql("jobs")

    async def enqueue(self, jobs: Sequence[NewJob]) -> list[int]:
        columns = [columns_of(job) for job in jobs]
        if any(job.key for job in jobs):
            made = []
            async with self._database.transaction(writing=True) as connection:
                for one in columns:
                    made.append(await connection.fetchval(self._sql["enqueue_one"], *one) or 0)
            return made
        arrays = [list(column) for column in zip(*columns, strict=True)] or [[]] * 8
        del arrays[2]  # the keys
        rows = await self._database.fetch(self._sql["enqueue"], *arrays, writing=True)
        return [int(row[0]) for row in rows]

    async def claim(
        self, owner: str, kinds: Sequence[str], *, limit: int, lease_s: float
    ) -> list[ClaimedJob]:
        arguments = (owner, [*kinds], limit, lease_s)
        rows = await self._database.fetch(self._sql["claim"], *arguments, writing=True)
        return sorted(map(_claimed, rows), key=lambda job: job.claim.id)

    async def claim_lanes(
        self, owner: str, kinds: Sequence[str], *, limit: int, lease_s: float, after: str, look: int
    ) -> tuple[list[ClaimedJob], str]:
        arguments = (owner, [*kinds], limit, lease_s, after, look)
        rows = await self._database.fetch(self._sql["claim_lanes"], *arguments, writing=True)
        jobs = sorted((_claimed(row) for row in rows if row["id"] is not None), key=_lane)
        if len(jobs) == limit:
            return jobs, jobs[-1].lane
        return jobs, (rows[0]["last"] or "") if rows[0]["count"] == look else ""

    async def finish(self, jobs: Sequence[FinishedJob]) -> set[int]:
        return _ids(await self._database.fetch(self._sql["finish"], *_ends(jobs), writing=True))

    async def finish_with(self, job: FinishedJob, effect: Audit) -> bool:
        return bool(await self._database.change(self._sql["finish"], *_ends([job]), audit=effect))

    async def fail(self, jobs: Sequence[FailedJob]) -> set[int]:
        claims = _claims([job.claim for job in jobs])
        errors = [storable(job.error)[:MAX_ERROR] for job in jobs]
        arguments = (*claims, errors, [job.delay_s for job in jobs])
        return _ids(await self._database.fetch(self._sql["fail"], *arguments, writing=True))

    async def give_back(self, claims: Sequence[Claim]) -> set[int]:
        return _ids(
            await self._database.fetch(self._sql["give_back"], *_claims(claims), writing=True)
        )

    async def renew(self, claims: Sequence[Claim], *, lease_s: float) -> dict[int, bool]:
        arguments = (*_claims(claims), lease_s)
        rows = await self._database.fetch(self._sql["renew"], *arguments, writing=True)
        return {row["id"]: row["cancel"] for row in rows}

    async def note(self, claim: Claim, progress: Values, effect: Audit | None = None) -> bool:
        arguments = (claim.id, claim.generation, as_json(progress, "the progress"))
        return bool(await self._database.change(self._sql["note"], *arguments, audit=effect))

    async def sweep(self, limit: int) -> int:
        lost = await self._database.fetch(self._sql["sweep_leases"], limit, writing=True)
        late = await self._database.fetch(self._sql["sweep_deadlines"], limit, writing=True)
        return len(lost) + len(late)

    async def get(self, id: int) -> JobRow | None:
        found = await self._database.fetch(self._sql["get"], id)
        return _row(found[0]) if found else None

    async def counts(self) -> list[JobCount]:
        rows = await self._database.fetch(self._sql["counts"])
        return [JobCount(row[0], row[1], row[2], row[3]) for row in rows]

    async def list(
        self,
        *,
        state: JobState | None = None,
        kind: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[JobRow]:
        arguments = (state, kind, LAST if before is None else before, limit)
        return [_row(row) for row in await self._database.fetch(self._sql["list"], *arguments)]

    async def cancel(
        self, id: int, *, reason: str, audit: Audit | None = None
    ) -> Literal["cancelled", "asked", ""]:
        away = (id, "ready", "cancelled", _reason(reason))
        if await self._database.change(self._sql["put_away"], *away, audit=audit):
            return "cancelled"
        asked = await self._database.change(self._sql["ask_to_stop"], id, audit=audit)
        return "asked" if asked else ""

    async def replay(self, id: int, *, audit: Audit | None = None) -> bool:
        return bool(await self._database.change(self._sql["replay"], id, audit=audit))

    async def discard(self, id: int, *, reason: str, audit: Audit | None = None) -> bool:
        away = (id, "dead", "discarded", _reason(reason))
        return bool(await self._database.change(self._sql["put_away"], *away, audit=audit))

    async def forget(self, *, done_days: float, dead_days: float, limit: int) -> int:
        done, dead = self._sql["forget_finished"], self._sql["forget_dead"]
        return len(await self._database.fetch(done, done_days, limit, writing=True)) + len(
            await self._database.fetch(dead, dead_days, limit, writing=True)
        )


def columns_of(job: NewJob) -> tuple[Any, ...]:
    """A new job as `enqueue_one` takes it. Raises BadInput."""
    for name, text in (("kind", job.kind), ("lane", job.lane), ("key", job.key)):
        if len(text) > MAX_NAME or storable(text) != text:
            raise BadInput(f"the {name} of a job has at most {MAX_NAME} ordinary characters")
    args = as_json(job.args, "the arguments")
    rest = (job.max_attempts, job.deadline_s, storable(job.who)[:MAX_NAME])
    return (job.kind, job.lane, job.key, args, job.after_s, *rest)


def as_json(values: Values, what: str) -> str:
    """As text that the tables take. Raises BadInput when it is too large, or no JSON."""
    try:
        text = msgspec.json.encode(values).decode()
    except (TypeError, ValueError, UnicodeError) as error:
        raise BadInput(f"{what} of a job cannot be written as JSON: {error}") from error
    if len(text) > MAX_JSON:
        raise BadInput(f"{what} of a job are more than {MAX_JSON} bytes")
    return text


def values(text: str) -> Values:
    """What :func:`as_json` wrote."""
    return msgspec.json.decode(text, type=Values)


def _reason(text: str) -> str:
    return as_json({"reason": storable(text)[:MAX_ERROR]}, "the reason")


def _ends(jobs: Sequence[FinishedJob]) -> tuple[list[Any], ...]:
    results = [as_json(job.result, "the result") for job in jobs]
    return (*_claims([job.claim for job in jobs]), [job.state for job in jobs], results)


def _claims(claims: Sequence[Claim]) -> tuple[list[int], list[int]]:
    return [claim.id for claim in claims], [claim.generation for claim in claims]


def _ids(rows: Sequence[Any]) -> set[int]:
    return {int(row[0]) for row in rows}


def _lane(job: ClaimedJob) -> bytes:
    return job.lane.encode()  # as the collation "C" sorts


def _claimed(row: Mapping[str, Any]) -> ClaimedJob:
    return ClaimedJob(
        Claim(row["id"], row["generation"]),
        row["kind"],
        row["lane"],
        row["key"] or "",
        values(row["args"]),
        row["attempt"],
        row["max_attempts"],
        values(row["progress"]),
        row["cancel"],
        row["who"],
        row["deadline_s"],
    )


def _row(row: Mapping[str, Any]) -> JobRow:
    def us(name: str) -> int:
        return 0 if row[name] is None else to_us(row[name])

    plain = ("id", "kind", "lane", "key", "state", "attempt", "max_attempts", "owner", "generation")
    return JobRow(
        **{name: row[name] for name in plain},
        args=values(row["args"]),
        run_at_us=us("run_at"),
        deadline_us=us("deadline"),
        lease_until_us=us("lease_until"),
        cancel=row["cancel"],
        progress=values(row["progress"]),
        result=values(row["result"] or "{}"),
        error=row["error"],
        who=row["who"],
        created_us=us("created"),
        started_us=us("started"),
        finished_us=us("finished"),
    )
