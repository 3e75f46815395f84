"""Double of `storage.ports.background.jobs.JobStore`. Its clock moves with `pass_s` and one
microsecond a call; `faults` are those of `tests.support.doubles.faults`."""

import itertools
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import msgspec

from actors.core.errors import BadInput, Conflict
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
from tests.support.doubles.faults import Faults

T = TypeVar("T")
SECOND_US = 1_000_000
LIVE = ("ready", "running")


class MemoryJobStore:
    """All jobs in one dictionary, finished ones too."""

    def __init__(self) -> None:
        self.rows: dict[int, JobRow] = {}
        self.faults = Faults()
        self._ids = itertools.count(1)
        self.now_us = 1_800_000_000 * SECOND_US

    def pass_s(self, seconds: float) -> None:
        """Let time pass."""
        self.now_us += round(seconds * SECOND_US)

    async def enqueue(self, jobs: Sequence[NewJob]) -> list[int]:
        for job in jobs:
            if max(map(len, (job.kind, job.lane, job.key))) > MAX_NAME:
                raise BadInput("the name of a job is too long")
            _bounded(job.args)
        return await self._run("enqueue", lambda: [self._add(job) for job in jobs])

    async def claim(
        self, owner: str, kinds: Sequence[str], *, limit: int, lease_s: float
    ) -> list[ClaimedJob]:
        def act() -> list[ClaimedJob]:
            due = [row for row in self.rows.values() if not row.lane and self._due(row, kinds)]
            due.sort(key=lambda row: (row.run_at_us, row.id))
            return sorted(
                (self._take(row, owner, lease_s) for row in due[:limit]), key=lambda j: j.claim.id
            )

        return await self._run("claim", act)

    async def claim_lanes(
        self, owner: str, kinds: Sequence[str], *, limit: int, lease_s: float, after: str, look: int
    ) -> tuple[list[ClaimedJob], str]:
        def act() -> tuple[list[ClaimedJob], str]:
            live = [row for row in self.rows.values() if row.lane and row.state in LIVE]
            lanes = sorted({row.lane for row in live if row.lane > after})[:look]
            jobs = []
            for lane in lanes:
                of_lane = [row for row in live if row.lane == lane]
                head = min(of_lane, key=lambda row: row.id)
                if self._due(head, kinds) and all(row.state == "ready" for row in of_lane):
                    jobs.append(self._take(head, owner, lease_s))
                    if len(jobs) == limit:
                        return jobs, lane
            return jobs, lanes[-1] if len(lanes) == look else ""

        return await self._run("claim_lanes", act)

    async def finish(self, jobs: Sequence[FinishedJob]) -> set[int]:
        def act() -> set[int]:
            return {job.claim.id for job in jobs if self._end(job)}

        for job in jobs:
            _bounded(job.result)
        return await self._run("finish", act)

    async def finish_with(self, job: FinishedJob, effect: Audit) -> bool:
        if not self._held(job.claim):
            return False
        await effect(None)
        return await self._run("finish_with", lambda: self._end(job))

    async def fail(self, jobs: Sequence[FailedJob]) -> set[int]:
        def act() -> set[int]:
            return {job.claim.id for job in jobs if self._fail(job)}

        return await self._run("fail", act)

    async def give_back(self, claims: Sequence[Claim]) -> set[int]:
        def act() -> set[int]:
            held = [self.rows[claim.id] for claim in claims if self._held(claim)]
            for row in held:
                self._back(row, attempt=row.attempt - 1)
            return {row.id for row in held}

        return await self._run("give_back", act)

    async def renew(self, claims: Sequence[Claim], *, lease_s: float) -> dict[int, bool]:
        def act() -> dict[int, bool]:
            held = [self.rows[claim.id] for claim in claims if self._held(claim)]
            for row in held:
                self._set(row, lease_until_us=self._after(lease_s))
            return {row.id: row.cancel for row in held}

        return await self._run("renew", act)

    async def note(self, claim: Claim, progress: Values, effect: Audit | None = None) -> bool:
        _bounded(progress)
        if not self._held(claim):
            return False
        if effect is not None:
            await effect(None)

        def act() -> bool:
            self._set(self.rows[claim.id], progress=progress)
            return True

        return await self._run("note", act)

    async def sweep(self, limit: int) -> int:
        def act() -> int:
            now = self.now_us
            lost = [
                row
                for row in self.rows.values()
                if row.state == "running" and row.lease_until_us < now
            ]
            for row in lost[:limit]:
                error = f"worker {row.owner} did not renew its lease"
                if row.attempt >= row.max_attempts:
                    self._die(row, error)
                else:
                    self._back(row, error=error)
            late = [
                row
                for row in self.rows.values()
                if row.state == "ready" and 0 < row.deadline_us <= now
            ]
            for row in late[:limit]:
                self._die(row, row.error or "its deadline passed before it began")
            return len(lost[:limit]) + len(late[:limit])

        return await self._run("sweep", act)

    async def get(self, id: int) -> JobRow | None:
        return await self._run("get", lambda: self.rows.get(id))

    async def counts(self) -> list[JobCount]:
        def act() -> list[JobCount]:
            groups: dict[tuple[str, JobState], list[JobRow]] = {}
            for row in self.rows.values():
                if row.state in (*LIVE, "dead"):
                    groups.setdefault((row.kind, row.state), []).append(row)
            return [
                JobCount(
                    kind,
                    state,
                    len(rows),
                    (self.now_us - min(row.run_at_us for row in rows)) / SECOND_US
                    if state == "ready"
                    else 0.0,
                )
                for (kind, state), rows in sorted(groups.items())
            ]

        return await self._run("counts", act)

    async def list(
        self,
        *,
        state: JobState | None = None,
        kind: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[JobRow]:
        def act() -> list[JobRow]:
            found = [
                row
                for row in self.rows.values()
                if state in (None, row.state)
                and kind in (None, row.kind)
                and (before is None or row.id < before)
            ]
            return sorted(found, key=lambda row: -row.id)[:limit]

        return await self._run("list", act)

    async def cancel(
        self, id: int, *, reason: str, audit: Audit | None = None
    ) -> Literal["cancelled", "asked", ""]:
        row = self.rows.get(id)
        if row is None or row.state not in LIVE:
            return ""
        await _record(audit)
        if row.state == "running":
            self._set(row, cancel=True)
            return "asked"
        self._over(row, "cancelled", {"reason": reason[:MAX_ERROR]})
        return "cancelled"

    async def replay(self, id: int, *, audit: Audit | None = None) -> bool:
        row = self.rows.get(id)
        if row is None or row.state != "dead":
            return False
        if row.key and self.alive(row.kind, row.key):
            raise Conflict("another job of this kind and key is alive")
        await _record(audit)
        self._back(row, attempt=0, deadline_us=0, cancel=False, finished_us=0)
        return True

    async def discard(self, id: int, *, reason: str, audit: Audit | None = None) -> bool:
        row = self.rows.get(id)
        if row is None or row.state != "dead":
            return False
        await _record(audit)
        self._over(row, "discarded", {"reason": reason[:MAX_ERROR]})
        return True

    async def forget(self, *, done_days: float, dead_days: float, limit: int) -> int:
        def act() -> int:
            went = 0
            for states, days in (
                (("done", "cancelled", "discarded"), done_days),
                (("dead",), dead_days),
            ):
                before = self.now_us - round(days * 86_400 * SECOND_US)
                old = [
                    row.id
                    for row in self.rows.values()
                    if row.state in states and row.finished_us < before
                ][:limit]
                for id in old:
                    del self.rows[id]
                went += len(old)
            return went

        return await self._run("forget", act)

    async def _run(self, operation: str, action: Callable[[], T]) -> T:
        self.now_us += 1
        return await self.faults.run(operation, action)

    def _add(self, job: NewJob) -> int:
        if job.key and self.alive(job.kind, job.key):
            return 0
        id = next(self._ids)
        self.rows[id] = JobRow(
            id=id,
            kind=job.kind,
            lane=job.lane,
            key=job.key,
            args=job.args,
            state="ready",
            run_at_us=self._after(job.after_s),
            attempt=0,
            max_attempts=job.max_attempts,
            deadline_us=self._after(job.deadline_s) if job.deadline_s > 0 else 0,
            owner="",
            generation=0,
            lease_until_us=0,
            cancel=False,
            progress={},
            result={},
            error="",
            who=job.who,
            created_us=self.now_us,
            started_us=0,
            finished_us=0,
        )
        return id

    def alive(self, kind: str, key: str) -> bool:
        """One of them is ready or running."""
        return any(
            (row.kind, row.key) == (kind, key) and row.state in LIVE for row in self.rows.values()
        )

    def _after(self, seconds: float) -> int:
        return self.now_us + round(seconds * SECOND_US)

    def _due(self, row: JobRow, kinds: Sequence[str]) -> bool:
        return (
            row.state == "ready"
            and row.run_at_us <= self.now_us
            and row.kind in kinds
            and (row.deadline_us == 0 or row.deadline_us > self.now_us)
        )

    def _held(self, claim: Claim) -> bool:
        row = self.rows.get(claim.id)
        return row is not None and row.state == "running" and row.generation == claim.generation

    def _take(self, row: JobRow, owner: str, lease_s: float) -> ClaimedJob:
        row = self._set(
            row,
            state="running",
            owner=owner,
            generation=row.generation + 1,
            attempt=row.attempt + 1,
            started_us=self.now_us,
            lease_until_us=self._after(lease_s),
        )
        left_s = (row.deadline_us - self.now_us) / SECOND_US if row.deadline_us else None
        return ClaimedJob(
            Claim(row.id, row.generation),
            row.kind,
            row.lane,
            row.key,
            row.args,
            row.attempt,
            row.max_attempts,
            row.progress,
            row.cancel,
            row.who,
            left_s,
        )

    def _end(self, job: FinishedJob) -> bool:
        if not self._held(job.claim):
            return False
        self._over(self.rows[job.claim.id], job.state, job.result)
        return True

    def _fail(self, job: FailedJob) -> bool:
        if not self._held(job.claim):
            return False
        row, error = self.rows[job.claim.id], job.error[:MAX_ERROR]
        late = 0 < row.deadline_us <= self._after(job.delay_s)
        if job.delay_s < 0 or late:
            self._die(row, error)
        else:
            self._back(row, error=error, run_at_us=self._after(job.delay_s))
        return True

    def _back(self, row: JobRow, **changes: object) -> None:
        self._set(
            row,
            **{"state": "ready", "run_at_us": self.now_us, "owner": "", "lease_until_us": 0}
            | changes,
        )

    def _die(self, row: JobRow, error: str) -> None:
        self._set(
            row, state="dead", error=error, owner="", lease_until_us=0, finished_us=self.now_us
        )

    def _over(self, row: JobRow, state: JobState, result: Values) -> None:
        self._set(
            row,
            state=state,
            result=result,
            lease_until_us=0,
            cancel=False,
            finished_us=self.now_us,
        )

    def _set(self, row: JobRow, **changes: object) -> JobRow:
        self.rows[row.id] = msgspec.structs.replace(row, **changes)
        return self.rows[row.id]


def _bounded(values: Values) -> None:
    try:
        size = len(msgspec.json.encode(values))
    except (TypeError, ValueError) as error:
        raise BadInput(f"no JSON: {error}") from error
    if size > MAX_JSON:
        raise BadInput("more than a job may hold")


async def _record(audit: Audit | None) -> None:
    if audit is not None:
        await audit(None)
