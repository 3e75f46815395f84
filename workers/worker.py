"""Runs jobs: claims what is due, carries it out, stores how it ended. Nothing it does depends on
being alone, or on being in time: whatever it says of a job names the generation of its claim.

A job holds its place in the worker until its end is stored, so what is in memory is bounded while
PostgreSQL is away. Ends of one loop turn go in one statement.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import msgspec

from actors.core.errors import (
    BadInput,
    ConfigError,
    Conflict,
    EyrieError,
    Fenced,
    NotFound,
    Unavailable,
)
from storage.ports.background.jobs import (
    NO_MORE,
    Claim,
    ClaimedJob,
    FailedJob,
    FinishedJob,
    JobStore,
    Values,
)
from workers.kinds import JobKind, RunningJob

HOPELESS = (BadInput, ConfigError, NotFound)
SWEPT = 100  # jobs that one statement gives back, at most

log = logging.getLogger("eyrie.workers")


class WorkerLimits(msgspec.Struct, frozen=True):
    """`jobs` at a time; a lease of `lease_s`, renewed every third of it; between two looks `busy_s`
    while there was work, else `idle_s`; `lanes` looked at by one claim; `again_s` between two tries
    to store an end."""

    jobs: int = 16
    lease_s: float = 15.0
    busy_s: float = 0.25
    idle_s: float = 1.0
    lanes: int = 200
    again_s: float = 1.0


@dataclass(eq=False)
class _Place:
    """One job that the worker holds: running, then ended and to be stored."""

    running: RunningJob
    kind: JobKind
    task: asyncio.Task[Values | None]
    lease_until: float  # monotonic, as far as we know
    cancel: bool = False  # somebody wants no more of it
    end: FinishedJob | FailedJob | None = None

    @property
    def claim(self) -> Claim:
        return self.running.job.claim


@dataclass
class WorkerCounts:
    """Since it began: claims, and how they ended. `lost` went to another worker."""

    ends: Counter[str] = field(default_factory=Counter)

    NAMES = ("claimed", "done", "failed", "dead", "cancelled", "lost", "given_back")


class Worker:
    """One per process. `run` works until `drain`; `chance` gives 0..1."""

    def __init__(
        self,
        name: str,
        store: JobStore,
        kinds: Mapping[str, JobKind],
        limits: WorkerLimits | None = None,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.counts = WorkerCounts()
        self._store = store
        self._kinds = dict(kinds)
        self._limits = limits or WorkerLimits()
        self._chance = chance
        self._places: dict[int, _Place] = {}
        self._wake = asyncio.Event()  # something ended, or somebody knows of work
        self._ended = asyncio.Event()
        self._stopping = False
        self._lanes_first = False
        self._lane = ""  # the lanes behind it are looked at next
        self._away = False

    @property
    def running(self) -> int:
        """Jobs it holds."""
        return len(self._places)

    def wake(self) -> None:
        """There may be work: look now."""
        self._wake.set()

    async def run(self) -> None:
        """Work until drained. What is under way when this is cancelled is given back by nobody: its
        lease runs out."""
        try:
            async with asyncio.TaskGroup() as group:
                loops = [
                    group.create_task(self._store_ends(), name="job-ends"),
                    group.create_task(self._renew(), name="job-leases"),
                ]
                await self._claim_loop()
                while self._places:
                    self._wake.clear()
                    await self._wake.wait()
                for loop in loops:
                    loop.cancel()
        finally:
            for place in self._places.values():
                place.task.cancel()

    async def drain(self, grace_s: float) -> bool:
        """Take nothing new, let what runs end within `grace_s`, give the rest back; whether all
        ended."""
        self._stopping = True
        self._wake.set()
        deadline = time.monotonic() + grace_s
        while self._places and time.monotonic() < deadline:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    await self._wake.wait()
        left = [place for place in self._places.values() if place.end is None]
        for place in left:
            self._drop(place)
        if left:
            claims = [place.claim for place in left]
            try:
                self._count("given_back", len(await self._store.give_back(claims)))
            except EyrieError as error:
                log.warning("%d jobs end by their leases: %s", len(left), error)
        return not left

    async def _claim_loop(self) -> None:
        while not self._stopping:
            self._wake.clear()
            found = False
            try:
                found = await self._claim()
                self._again()
            except EyrieError as error:
                self._wait_for(error)
            full = len(self._places) >= self._limits.jobs
            if self._stopping or (found and not full):
                continue
            pause_s = self._limits.busy_s if found or self._places else self._limits.idle_s
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(
                    None if full else pause_s * (0.5 + 0.5 * self._chance())
                ):
                    await self._wake.wait()

    async def _claim(self) -> bool:
        """One look at both, in turns the one and the other first; whether there was any work, or
        more lanes to look at."""
        self._lanes_first = not self._lanes_first
        looks = (self._claim_plain, self._claim_lanes)
        taken = 0
        for look in looks[::-1] if self._lanes_first else looks:
            if (free := self._limits.jobs - len(self._places)) > 0:
                sent = time.monotonic()
                taken += self._begin(await look(free), sent)
        return taken > 0 or self._lane != ""

    async def _claim_plain(self, free: int) -> list[ClaimedJob]:
        lease_s = self._limits.lease_s
        return await self._store.claim(self.name, [*self._kinds], limit=free, lease_s=lease_s)

    async def _claim_lanes(self, free: int) -> list[ClaimedJob]:
        limits = self._limits
        try:
            jobs, self._lane = await self._store.claim_lanes(
                self.name,
                [*self._kinds],
                limit=free,
                lease_s=limits.lease_s,
                after=self._lane,
                look=limits.lanes,
            )
        except Conflict:  # another worker had one of the lanes in the same moment
            return []
        return jobs

    def _begin(self, jobs: list[ClaimedJob], sent: float) -> int:
        for job in jobs:
            running, kind = RunningJob(job, self._store), self._kinds[job.kind]
            task = asyncio.create_task(self._attempt(running, kind), name=f"job-{job.claim.id}")
            place = _Place(running, kind, task, sent + self._limits.lease_s, cancel=job.cancel)
            self._places[job.claim.id] = place
            task.add_done_callback(partial(self._over, place))
            if job.cancel:
                task.cancel()
        self._count("claimed", len(jobs))
        return len(jobs)

    async def _attempt(self, running: RunningJob, kind: JobKind) -> Values | None:
        left_s = running.job.deadline_s
        timeout_s = kind.timeout_s if left_s is None else min(kind.timeout_s, left_s)
        try:
            async with asyncio.timeout(timeout_s) as limit:
                return await kind.run(running)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise Unavailable(f"the attempt did not end in {timeout_s:g} s") from error

    def _over(self, place: _Place, _task: asyncio.Task[Values | None]) -> None:
        """A task has ended: what is to be stored of it."""
        if self._places.get(place.claim.id) is not place:
            return  # given back, or lost: its end concerns nobody
        if place.task.cancelled():
            if place.cancel:
                place.end = FinishedJob(place.claim, state="cancelled")
            else:
                self._lose(place, "its task was cancelled")
                return
        elif (error := place.task.exception()) is None:
            place.end = FinishedJob(place.claim, place.task.result() or {})
        elif isinstance(error, Fenced):
            self._lose(place, str(error))
            return
        else:
            place.end = self._failure(place, error)
        self._ended.set()

    def _failure(self, place: _Place, error: BaseException) -> FailedJob:
        job, retry = place.running.job, place.kind.retry
        text = f"{type(error).__name__}: {error}"
        last = isinstance(error, HOPELESS) or job.attempt >= job.max_attempts
        delay_s = NO_MORE if last else retry.delay_s(job.attempt, self._chance())
        if not isinstance(error, EyrieError):
            log.error("job %d (%s) fails by a mistake", job.claim.id, job.kind, exc_info=error)
        log.warning(
            "job %d (%s) attempt %d of %d failed, %s: %s",
            job.claim.id,
            job.kind,
            job.attempt,
            job.max_attempts,
            "and is dead" if last else f"again in {delay_s:.1f} s",
            text,
        )
        return FailedJob(place.claim, text, delay_s)

    async def _store_ends(self) -> None:
        while True:
            await self._ended.wait()
            self._ended.clear()
            places = [place for place in self._places.values() if place.end is not None]
            try:
                await self._store_batch(places)
                self._again()
            except EyrieError as error:
                self._wait_for(error)
                self._ended.set()
                await asyncio.sleep(self._limits.again_s * (0.5 + 0.5 * self._chance()))

    async def _store_batch(self, places: list[_Place]) -> None:
        """What was stored leaves its place at once: a failure of the next statement repeats only
        the rest. To repeat what was stored and not answered is harmless."""
        plain = [
            place.end
            for place in places
            if isinstance(place.end, FinishedJob) and place.running.effect is None
        ]
        if plain:
            self._stored(plain, await self._finish(plain))
        failed = [place.end for place in places if isinstance(place.end, FailedJob)]
        if failed:
            self._stored(failed, await self._store.fail(failed))
        for place in places:
            end, effect = place.end, place.running.effect
            if isinstance(end, FinishedJob) and effect is not None:
                if end.state == "cancelled":
                    self._stored([end], await self._store.finish([end]))
                    continue
                try:
                    ours = await self._store.finish_with(end, effect) or await self._was_stored(end)
                except (BadInput, Conflict) as error:  # the effect can never be
                    place.end = self._failure(place, error)
                    self._ended.set()
                    continue
                self._stored([end], {end.claim.id} if ours else set())

    async def _finish(self, ends: list[FinishedJob]) -> set[int]:
        try:
            return await self._store.finish(ends)
        except BadInput as error:  # a result too large: no reason to do the work again
            log.error("%d results cannot be kept, their jobs end without: %s", len(ends), error)
            return await self._store.finish([FinishedJob(e.claim, {}, e.state) for e in ends])

    async def _was_stored(self, end: FinishedJob) -> bool:
        """Of an end that was sent before and not answered."""
        row = await self._store.get(end.claim.id)
        return row is not None and (row.state, row.generation) == ("done", end.claim.generation)

    def _stored(self, ends: list[FinishedJob] | list[FailedJob], ours: set[int]) -> None:
        for end in ends:
            self._places.pop(end.claim.id, None)
            if end.claim.id not in ours:
                self._count("lost", 1)
            elif isinstance(end, FinishedJob):
                self._count(end.state, 1)
            else:
                self._count("dead" if end.delay_s < 0 else "failed", 1)
        self._wake.set()

    async def _renew(self) -> None:
        """Leases, and what others lost. A loop that was blocked for longer than a lease finds its
        jobs gone here."""
        lease_s = self._limits.lease_s
        while True:
            await asyncio.sleep(lease_s / 3 * (0.8 + 0.2 * self._chance()))
            sent = time.monotonic()
            held = [place for place in self._places.values() if place.end is None]
            try:
                if held:
                    mine = await self._store.renew([p.claim for p in held], lease_s=lease_s)
                    for place in held:
                        self._renewed(place, mine.get(place.claim.id), sent + lease_s)
                while await self._store.sweep(SWEPT) >= SWEPT:
                    pass
                self._again()
            except EyrieError as error:
                self._wait_for(error)
                for place in held:
                    if place.end is None and time.monotonic() > place.lease_until:
                        self._lose(place, "its lease could not be renewed")

    def _renewed(self, place: _Place, asked: bool | None, until: float) -> None:
        if place.end is not None or self._places.get(place.claim.id) is not place:
            return
        if asked is None:
            self._lose(place, "another worker has it, or nobody: its lease was over")
            return
        place.lease_until = until
        if asked:
            place.cancel = True
            place.task.cancel()

    def _lose(self, place: _Place, why: str) -> None:
        log.warning("job %d (%s) is lost: %s", place.claim.id, place.kind.name, why)
        self._count("lost", 1)
        self._drop(place)

    def _drop(self, place: _Place) -> None:
        self._places.pop(place.claim.id, None)
        place.task.cancel()
        self._wake.set()

    def _count(self, what: str, count: int) -> None:
        self.counts.ends[what] += count

    def _wait_for(self, error: EyrieError) -> None:
        if not self._away:
            log.warning("jobs wait: %s", error)
        self._away = True

    def _again(self) -> None:
        if self._away:
            log.warning("jobs go on")
        self._away = False
