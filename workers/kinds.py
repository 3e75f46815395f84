"""What a worker can run: kinds of jobs and of connectors, and what their code is given.

The code of a kind may be carried out more than once: a worker can die after the work and before its
end was stored. What it changes in PostgreSQL it hands over as an effect (`RunningJob.note`,
`RunningJob.finish_with`), which happens in the transaction of the progress or the end, once. What
it changes elsewhere must bear repetition.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from actors.core.errors import Fenced
from storage.ports.background.connectors import ClaimedConnector, ConnectorStore
from storage.ports.background.jobs import ClaimedJob, JobStore, Values
from storage.ports.policy import Audit
from workers.retries import RetryPolicy

STEPS = "steps"  # in a job's progress: the names of those that are done


class RunningJob:
    """A job as its code sees it. When it was lost to another worker, every method that writes
    raises Fenced and changes nothing."""

    def __init__(self, job: ClaimedJob, store: JobStore) -> None:
        self.job = job
        self.progress: Values = job.progress
        self.effect: Audit | None = None
        self._store = store

    @property
    def args(self) -> Values:
        return self.job.args

    async def note(self, progress: Values, effect: Audit | None = None) -> None:
        """Keep how far it has come, for people and for the next attempt, together with `effect`.
        `done` and `total` in it make a progress bar."""
        if not await self._store.note(self.job.claim, progress, effect):
            raise Fenced(f"job {self.job.claim.id} was lost to another worker")
        self.progress = progress

    async def step(self, name: str, work: Callable[[], Awaitable[Audit | None]]) -> None:
        """Carry out a named step unless an earlier attempt has. What `work` returns happens
        together with the note that it is done."""
        done = self.progress.get(STEPS, [])
        if name not in done:
            effect = await work()
            await self.note({**self.progress, STEPS: [*done, name]}, effect)

    def finish_with(self, effect: Audit) -> None:
        """`effect` is to happen together with the end of the job, once it has returned."""
        self.effect = effect


@dataclass(frozen=True)
class JobKind:
    """`run` carries one out and returns its result. An attempt may take `timeout_s`. BadInput,
    ConfigError and NotFound are hopeless: there is no further attempt; every other error is tried
    again under `retry`."""

    name: str
    run: Callable[[RunningJob], Awaitable[Values | None]]
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeout_s: float = 300.0


class RunningConnector:
    """A connector as its code sees it."""

    def __init__(self, connector: ClaimedConnector, store: ConnectorStore) -> None:
        self.connector = connector
        self.state: Values = connector.state
        self._store = store

    @property
    def args(self) -> Values:
        return self.connector.args

    async def note(self, state: Values) -> None:
        """Keep what the next owner wants to know; it also says that all is well. Raises Fenced."""
        if not await self._store.note(self.connector.claim, state):
            raise Fenced(f"connector {self.connector.claim.name} was lost to another worker")
        self.state = state


@dataclass(frozen=True)
class ConnectorKind:
    """`run` works until it is cancelled; when it ends or fails, it is begun again under `retry`,
    by any worker."""

    name: str
    run: Callable[[RunningConnector], Awaitable[None]]
    retry: RetryPolicy = field(default_factory=lambda: RetryPolicy(base_s=1.0, longest_s=60.0))


def by_name(kinds: Iterable[JobKind]) -> dict[str, JobKind]:
    """Name → kind. Raises ValueError for a name given twice."""
    found: dict[str, JobKind] = {}
    for kind in kinds:
        if kind.name in found:
            raise ValueError(f"job kind {kind.name!r} is given twice")
        found[kind.name] = kind
    return found
