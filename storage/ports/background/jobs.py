"""What workers ask of storage about jobs.

A job is durable: it is run until it ends well, its attempts are over, or somebody cancels it. It is
*claimed* under a lease and a generation, which grows with every claim: whatever its worker says of
it later (progress, renewal, end) must name that generation, so a worker that lost its job changes
nothing. Jobs of one `lane` run one at a time, in the order of their ids. Times are the database's.
"""

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import msgspec

from storage.ports.policy import Audit

MAX_JSON = 65_536  # bytes of arguments, progress or a result, as JSON
MAX_ERROR = 2_000  # characters of an error or a reason; what is longer is cut
MAX_NAME = 200  # characters of a kind, lane or key
NO_MORE = -1.0  # a delay: there is no next attempt

JobState = Literal["ready", "running", "dead", "done", "cancelled", "discarded"]
JOB_STATES: tuple[JobState, ...] = (
    "ready",
    "running",
    "dead",
    "done",
    "cancelled",
    "discarded",
)
Ended = Literal["done", "cancelled"]
Values = dict[str, Any]  # arguments, progress and results: objects that JSON can hold


class NewJob(msgspec.Struct, frozen=True):
    """One to run in `after_s` seconds. Of a `kind` and `key` only one is ready or running at a
    time. It does not begin later than `deadline_s` seconds from now (0: whenever)."""

    kind: str
    lane: str = ""
    key: str = ""
    args: Values = {}
    after_s: float = 0.0
    max_attempts: int = 8
    deadline_s: float = 0.0
    who: str = ""


class Claim(msgspec.Struct, frozen=True):
    """What the owner of a running job names it by."""

    id: int
    generation: int


class ClaimedJob(msgspec.Struct, frozen=True):
    """A job to run. `attempt` counts from 1; `deadline_s` is what is left; `cancel`: somebody wants
    no more of it."""

    claim: Claim
    kind: str
    lane: str
    key: str
    args: Values
    attempt: int
    max_attempts: int
    progress: Values
    cancel: bool
    who: str
    deadline_s: float | None = None


class FinishedJob(msgspec.Struct, frozen=True):
    """How a claimed job ended."""

    claim: Claim
    result: Values = {}
    state: Ended = "done"


class FailedJob(msgspec.Struct, frozen=True):
    """A claimed job whose attempt failed: the next one in `delay_s` seconds, or none
    (:data:`NO_MORE`), which makes it dead. So does a deadline that lies before."""

    claim: Claim
    error: str
    delay_s: float


class JobRow(msgspec.Struct, frozen=True):
    """A job as read back. Times in microseconds since 1970, 0: none. `finished_us`: when it ended
    or died."""

    id: int
    kind: str
    lane: str
    key: str
    args: Values
    state: JobState
    run_at_us: int
    attempt: int
    max_attempts: int
    deadline_us: int
    owner: str
    generation: int
    lease_until_us: int
    cancel: bool
    progress: Values
    result: Values
    error: str
    who: str
    created_us: int
    started_us: int
    finished_us: int


class JobCount(msgspec.Struct, frozen=True):
    """How many there are of a kind in a state; `oldest_s`: seconds that the longest waiting ready
    one is over its time (below 0: none is due)."""

    kind: str
    state: JobState
    count: int
    oldest_s: float = 0.0


class JobStore(Protocol):
    """The rules of `storage.ports.cameras` hold here too: a write whose outcome is unknown raises
    UnknownOutcome, and may be repeated."""

    async def enqueue(self, jobs: Sequence[NewJob]) -> list[int]:
        """Make them, all or none; their ids, 0 where one of that kind and key is alive. Raises
        BadInput for what is too large."""

    async def claim(
        self, owner: str, kinds: Sequence[str], *, limit: int, lease_s: float
    ) -> list[ClaimedJob]:
        """At most `limit` jobs that are due and have no lane, the longest due first."""

    async def claim_lanes(
        self, owner: str, kinds: Sequence[str], *, limit: int, lease_s: float, after: str, look: int
    ) -> tuple[list[ClaimedJob], str]:
        """The first jobs of lanes, where nothing of the lane runs and that job is due: at most
        `limit`, of the `look` lanes behind `after`. With them where to go on, "" for the first
        lane."""

    async def finish(self, jobs: Sequence[FinishedJob]) -> set[int]:
        """They have ended; the ids of those that were still the caller's."""

    async def finish_with(self, job: FinishedJob, effect: Audit) -> bool:
        """One has ended, and `effect` happened: together, or neither. False: it is not the caller's
        any more. Once the outcome was unknown, `get` says which."""

    async def fail(self, jobs: Sequence[FailedJob]) -> set[int]:
        """Attempts that failed; the ids of those that were still the caller's."""

    async def give_back(self, claims: Sequence[Claim]) -> set[int]:
        """Not begun, or to be begun again by another at once: the attempt does not count."""

    async def renew(self, claims: Sequence[Claim], *, lease_s: float) -> dict[int, bool]:
        """Go on for `lease_s`: id → whether somebody asked to stop. Missing: lost to another."""

    async def note(self, claim: Claim, progress: Values, effect: Audit | None = None) -> bool:
        """Keep how far a job has come, together with `effect`. False: it is not the caller's any
        more, and nothing happened."""

    async def sweep(self, limit: int) -> int:
        """Give back those whose lease is over (dead when it was their last attempt), and end those
        whose deadline passed before they began; how many."""

    async def get(self, id: int) -> JobRow | None:
        """One of them, finished ones too."""

    async def counts(self) -> list[JobCount]:
        """Those that are ready, running or dead."""

    async def list(
        self,
        *,
        state: JobState | None = None,
        kind: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[JobRow]:
        """The newest first, those with a smaller id than `before`."""

    async def cancel(
        self, id: int, *, reason: str, audit: Audit | None = None
    ) -> Literal["cancelled", "asked", ""]:
        """A ready one is cancelled, the worker of a running one asked to stop; "": neither."""

    async def replay(self, id: int, *, audit: Audit | None = None) -> bool:
        """A dead one is ready again, with all its attempts and no deadline. False: it is not dead.
        Raises Conflict when another of its key is alive."""

    async def discard(self, id: int, *, reason: str, audit: Audit | None = None) -> bool:
        """A dead one is put away, with a reason. False: it is not dead."""

    async def forget(self, *, done_days: float, dead_days: float, limit: int) -> int:
        """Delete what ended so many days ago, at most `limit` of each; how many went."""
