"""Doubles of `storage.ports.policy`: revisions, the log of decisions, shadows."""

from collections.abc import Sequence

import msgspec

from actors.core.errors import Conflict
from storage.ports.policy import (
    Audit,
    DecisionRow,
    Flip,
    PolicyActivation,
    RevisionRecord,
    ShadowRecord,
)


class MemoryRevisions:
    """Revisions and activations in lists."""

    def __init__(self) -> None:
        self.records: dict[str, RevisionRecord] = {}
        self.activations: list[PolicyActivation] = []

    async def add(self, record: RevisionRecord, *, audit: Audit | None = None) -> bool:
        """Keep one."""
        if record.revision in self.records:
            return False
        if audit is not None:
            await audit(None)
        self.records[record.revision] = msgspec.structs.replace(
            record, number=len(self.records) + 1, created_us=1
        )
        return True

    async def get(self, revision: str) -> RevisionRecord | None:
        """One of them."""
        return self.records.get(revision)

    async def list(self, *, before: int, limit: int) -> list[RevisionRecord]:
        """Newest first."""
        found = sorted(self.records.values(), key=lambda record: -record.number)
        return [
            msgspec.structs.replace(record, source=b"")
            for record in found
            if record.number < before
        ][:limit]

    async def current(self) -> PolicyActivation | None:
        """The newest."""
        return self.activations[-1] if self.activations else None

    async def activate(self, activation: PolicyActivation, *, audit: Audit | None = None) -> bool:
        """Compare and swap."""
        if activation.generation != len(self.activations) + 1:
            return False
        if audit is not None:
            await audit(None)
        self.activations.append(msgspec.structs.replace(activation, time_us=1))
        return True


class MemoryDecisions:
    """The log."""

    def __init__(self) -> None:
        self.rows: list[DecisionRow] = []

    async def write(self, rows: Sequence[DecisionRow]) -> None:
        """Append."""
        self.rows += [
            msgspec.structs.replace(row, id=len(self.rows) + at + 1) for at, row in enumerate(rows)
        ]

    async def after(self, id: int, limit: int) -> list[DecisionRow]:
        """Oldest first."""
        return [row for row in self.rows if row.id > id][:limit]

    async def before(self, id: int, limit: int) -> list[DecisionRow]:
        """Newest first."""
        return [row for row in reversed(self.rows) if row.id < id][:limit]

    async def forget(self, *, keep_rows: int, keep_days: float, limit: int) -> int:
        """Nothing."""
        return 0


class MemoryShadows:
    """Shadows."""

    def __init__(self) -> None:
        self.shadows: dict[str, ShadowRecord] = {}
        self.flipped: list[Flip] = []

    async def start(
        self, revision: str, author: str, *, back: int, audit: Audit | None = None
    ) -> None:
        """Begin."""
        if any(
            shadow.ended_us is None and shadow.revision != revision
            for shadow in self.shadows.values()
        ):
            raise Conflict("another one runs")
        if audit is not None:
            await audit(None)
        self.shadows[revision] = ShadowRecord(revision, author, 0, 0, "", 1, None)

    async def end(self, revision: str, error: str = "", *, audit: Audit | None = None) -> bool:
        """End."""
        found = self.shadows.get(revision)
        if found is None or found.ended_us is not None:
            return False
        if audit is not None:
            await audit(None)
        self.shadows[revision] = msgspec.structs.replace(found, ended_us=2, error=error)
        return True

    async def find(self, revision: str = "") -> ShadowRecord | None:
        """One, or the running one."""
        if revision:
            return self.shadows.get(revision)
        return next((shadow for shadow in self.shadows.values() if shadow.ended_us is None), None)

    async def flips(self, revision: str) -> list[Flip]:
        """What was set."""
        return self.flipped

    async def found(
        self, shadow: ShadowRecord, last_id: int, evaluated: int, flips: Sequence[Flip]
    ) -> bool:
        """Add."""
        self.flipped += flips
        return True
