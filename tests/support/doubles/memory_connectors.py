"""Doubles of `storage.ports.background.connectors`."""

from collections.abc import Callable, Sequence

import msgspec

from storage.ports.background.connectors import (
    ClaimedConnector,
    ConnectorClaim,
    ConnectorRow,
    StoredBreaker,
    WorkerShare,
)
from storage.ports.background.jobs import MAX_ERROR, Values

SECOND_US = 1_000_000


class MemoryConnectorStore:
    """`now_us` is the database's clock. `away` makes nothing renew."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self.rows: dict[str, ConnectorRow] = {}
        self.workers: dict[str, int] = {}
        self._now = now_us

    async def put(
        self, name: str, kind: str, *, args: Values, paused: bool = False, who: str = ""
    ) -> None:
        before = self.rows.get(name)
        self.rows[name] = ConnectorRow(
            name,
            kind,
            args,
            paused,
            "",
            0 if before is None else before.generation + 1,
            0,
            self._now(),
            0,
            {} if before is None else before.state,
            "" if before is None else before.error,
            who,
        )

    async def remove(self, name: str) -> bool:
        return self.rows.pop(name, None) is not None

    async def claim(
        self, owner: str, kinds: Sequence[str], *, limit: int, lease_s: float
    ) -> list[ClaimedConnector]:
        now = self._now()
        free = [
            row
            for _, row in sorted(self.rows.items())
            if not row.paused
            and row.kind in kinds
            and row.retry_at_us <= now
            and row.lease_until_us < now
        ]
        claimed = []
        for row in free[:limit]:
            until = now + round(lease_s * SECOND_US)
            row = self._set(row, owner=owner, generation=row.generation + 1, lease_until_us=until)
            claim = ConnectorClaim(row.name, row.generation)
            claimed.append(ClaimedConnector(claim, row.kind, row.args, row.state, row.failures))
        return claimed

    async def renew(self, claims: Sequence[ConnectorClaim], *, lease_s: float) -> set[str]:
        held = [claim for claim in claims if self._held(claim) and not self.rows[claim.name].paused]
        for claim in held:
            until = self._now() + round(lease_s * SECOND_US)
            self._set(self.rows[claim.name], lease_until_us=until)
        return {claim.name for claim in held}

    async def note(self, claim: ConnectorClaim, state: Values) -> bool:
        if not self._held(claim):
            return False
        self._set(self.rows[claim.name], state=state, failures=0, error="")
        return True

    async def release(
        self, claim: ConnectorClaim, *, after_s: float = 0.0, error: str = ""
    ) -> bool:
        if not self._held(claim):
            return False
        row = self.rows[claim.name]
        self._set(
            row,
            owner="",
            lease_until_us=0,
            retry_at_us=self._now() + round(after_s * SECOND_US),
            error=error[:MAX_ERROR],
            failures=row.failures + 1 if error else 0,
        )
        return True

    async def all(self) -> list[ConnectorRow]:
        return [row for _, row in sorted(self.rows.items())]

    async def beat(self, worker: str, *, seen_s: float) -> WorkerShare:
        now = self._now()
        self.workers[worker] = now
        living = [
            name
            for name, seen in self.workers.items()
            if name == worker or seen > now - seen_s * SECOND_US
        ]
        return WorkerShare(len(living), sum(not row.paused for row in self.rows.values()))

    async def leave(self, worker: str) -> None:
        self.workers.pop(worker, None)

    def _held(self, claim: ConnectorClaim) -> bool:
        row = self.rows.get(claim.name)
        return row is not None and bool(row.owner) and row.generation == claim.generation

    def _set(self, row: ConnectorRow, **changes: object) -> ConnectorRow:
        self.rows[row.name] = msgspec.structs.replace(row, **changes)
        return self.rows[row.name]


class MemoryBreakerStore:
    """By name."""

    def __init__(self) -> None:
        self.rows: dict[str, StoredBreaker] = {}

    async def get(self, name: str) -> StoredBreaker | None:
        return self.rows.get(name)

    async def swap(self, name: str, body: str, *, version: int) -> int | None:
        found = self.rows.get(name)
        if (found.version if found else 0) != version:
            return None
        self.rows[name] = StoredBreaker(name, body, version + 1)
        return version + 1

    async def all(self) -> list[StoredBreaker]:
        return [row for _, row in sorted(self.rows.items())]
