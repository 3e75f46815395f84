"""What workers ask of storage about connectors, each other, and circuit breakers.

A connector is long-lived work with one owner at a time, under a lease and a generation that grows
with every claim, as of jobs (`storage.ports.background.jobs`)."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from storage.ports.background.jobs import Values


class ConnectorClaim(msgspec.Struct, frozen=True):
    """What the owner names it by."""

    name: str
    generation: int


class ClaimedConnector(msgspec.Struct, frozen=True):
    """One to run. `state` is what its last owner noted; `failures` in a row."""

    claim: ConnectorClaim
    kind: str
    args: Values
    state: Values
    failures: int


class ConnectorRow(msgspec.Struct, frozen=True):
    """One as read; times in microseconds since 1970, 0: none."""

    name: str
    kind: str
    args: Values
    paused: bool
    owner: str
    generation: int
    lease_until_us: int
    retry_at_us: int
    failures: int
    state: Values
    error: str
    who: str


class WorkerShare(msgspec.Struct, frozen=True):
    """How many workers were seen lately, and how many connectors there are for them."""

    workers: int
    connectors: int

    @property
    def connectors_each(self) -> int:
        """At most."""
        return -(-self.connectors // max(1, self.workers))


class StoredBreaker(msgspec.Struct, frozen=True):
    """`body`: JSON, whose meaning `workers.breaker` knows. `version` is what a change must name."""

    name: str
    body: str
    version: int


class ConnectorStore(Protocol):
    """Connectors and the workers that share them."""

    async def put(
        self, name: str, kind: str, *, args: Values, paused: bool = False, who: str = ""
    ) -> None:
        """It shall be so; whoever runs it as it was loses it."""

    async def remove(self, name: str) -> bool:
        """Whether it was there."""

    async def claim(
        self, owner: str, kinds: Sequence[str], *, limit: int, lease_s: float
    ) -> list[ClaimedConnector]:
        """At most so many of those that nobody has."""

    async def renew(self, claims: Sequence[ConnectorClaim], *, lease_s: float) -> set[str]:
        """Go on; the names of those that are still the caller's."""

    async def note(self, claim: ConnectorClaim, state: Values) -> bool:
        """Keep what the next owner wants to know. False: it is not the caller's any more."""

    async def release(
        self, claim: ConnectorClaim, *, after_s: float = 0.0, error: str = ""
    ) -> bool:
        """Give it up, to anybody in `after_s` seconds. False: it was not the caller's."""

    async def all(self) -> list[ConnectorRow]:
        """By name."""

    async def beat(self, worker: str, *, seen_s: float) -> WorkerShare:
        """This worker lives; the others count that were seen within so many seconds."""

    async def leave(self, worker: str) -> None:
        """It does not any more."""


class BreakerStore(Protocol):
    """Circuit breakers, by what they protect."""

    async def get(self, name: str) -> StoredBreaker | None:
        """One of them."""

    async def swap(self, name: str, body: str, *, version: int) -> int | None:
        """Change it from `version` (0: it is not there); the new one. None: somebody was faster."""

    async def all(self) -> list[StoredBreaker]:
        """By name."""
