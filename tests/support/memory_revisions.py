"""A double of `storage.policy_ports.RevisionStore`."""

import msgspec

from storage.policy_ports import Activation, Audit, RevisionRecord


class MemoryRevisions:
    """Revisions and activations in lists."""

    def __init__(self) -> None:
        self.records: dict[str, RevisionRecord] = {}
        self.activations: list[Activation] = []

    async def add(self, record: RevisionRecord, *, audit: Audit | None = None) -> bool:
        """Keep one."""
        if record.revision in self.records:
            return False
        if audit is not None:
            await audit(None)
        self.records[record.revision] = msgspec.structs.replace(record, number=len(self.records) + 1, created_us=1)
        return True

    async def get(self, revision: str) -> RevisionRecord | None:
        """One of them."""
        return self.records.get(revision)

    async def list(self, *, before: int, limit: int) -> list[RevisionRecord]:
        """Newest first."""
        found = sorted(self.records.values(), key=lambda record: -record.number)
        return [msgspec.structs.replace(record, source=b"") for record in found if record.number < before][:limit]

    async def current(self) -> Activation | None:
        """The newest."""
        return self.activations[-1] if self.activations else None

    async def activate(self, activation: Activation, *, audit: Audit | None = None) -> bool:
        """Compare and swap."""
        if activation.generation != len(self.activations) + 1:
            return False
        if audit is not None:
            await audit(None)
        self.activations.append(msgspec.structs.replace(activation, time_us=1))
        return True
