"""What the handlers of the cluster API share: who is asked for what, and how lists are paged."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from starlette.requests import Request

from actors.core.errors import BadInput, NotFound
from cluster.api.idempotency import Answers
from cluster.supervisor.models import SupervisorPort
from hub.web import endpoint
from policy.audit import Auditor
from policy.identity.principal import Principal
from storage.ports.background.jobs import JobStore
from storage.ports.background.schedules import ScheduleStore
from storage.ports.background.sinks import SinkBook
from storage.ports.cluster import ClusterStore
from storage.ports.policy import Audit
from storage.ports.registry import Registry

LAST_DECISIONS = 20  # shown with one thing
MAX_BODY_BYTES = 64 * 1024
MAX_CURSOR = 128

T = TypeVar("T")


class Inspector(Protocol):
    """Looks into processes of ours. Every method raises Unavailable when the process is gone or too
    slow, NotFound for none of ours."""

    async def log_level(self, process: str) -> dict[str, Any]:
        """``{level, base, left_s}``."""

    async def set_log_level(self, process: str, level: str, for_s: float) -> dict[str, Any]:
        """The level for so many seconds (0: end it now); the same."""

    async def profile(self, process: str, for_s: float, hz: int) -> dict[str, Any]:
        """``{samples, threads, cut, stacks}`` after `for_s`. Raises Conflict while one runs."""


class RoomMaker(Protocol):
    """Whoever can make the cluster grow (`cluster.supervisor.ports.Machine`)."""

    async def request_resources(self, cameras: int) -> None: ...


class SinkPlaces(NamedTuple):
    """Where the secrets of sinks are encrypted under, and the networks in which private receivers
    are reached all the same."""

    keyring: str
    receivers: Sequence[str] = ()


class ApiContext:
    """One per API. `answers` remembers idempotency keys of what is not stored."""

    def __init__(
        self,
        store: ClusterStore,
        supervisor: SupervisorPort,
        auditor: Auditor,
        registry: Registry,
        jobs: JobStore,
        schedules: ScheduleStore,
        inspector: Inspector,
        room: RoomMaker,
        sinks: SinkBook,
        places: SinkPlaces,
    ) -> None:
        self.store = store
        self.supervisor = supervisor
        self.registry = registry
        self.jobs = jobs
        self.schedules = schedules
        self.inspector = inspector
        self.room = room
        self.sinks = sinks
        self.places = places
        self.auditor = auditor
        self.answers = Answers()

    def record(self, principal: Principal, what: str, target: str, detail: str = "") -> Audit:
        """The audit record of a change, for the transaction that makes it."""
        return self.auditor.record(principal, f"cluster.{what}", target, detail)


def page(
    request: Request, items: Iterable[T], key: Callable[[T], str]
) -> tuple[list[T], str | None]:
    """A page of `items` by `key`: ``?after=&limit=``, and the cursor of the next."""
    after, limit = request.query_params.get("after", ""), endpoint.limit_of(request)
    if len(after) > MAX_CURSOR:
        raise BadInput(
            f"after has at most {MAX_CURSOR} characters",
            hint="It is the `next` of a page; leave it out to begin.",
        )
    left = sorted((item for item in items if key(item) > after), key=key)
    return left[:limit], key(left[limit - 1]) if len(left) > limit else None


def find(items: Iterable[T], name: str, key: Callable[[T], str], what: str) -> T:
    """The one called `name`. Raises NotFound."""
    for item in items:
        if key(item) == name:
            return item
    raise NotFound(
        f"there is no {what} {name[:80]}",
        hint=f"`eyrie cluster {_LISTS.get(what, 'status')}` lists what there is.",
    )


_LISTS = {
    "node": "nodes",
    "actor": "actors",
    "hub": "hubs",
    "policy replica": "policies",
    "worker": "workers",
    "camera": "cameras",
    "operation": "operations",
}
