"""Double of `storage.ports.audit_log.AuditLog`; `away` makes every entry fail."""

from collections.abc import AsyncIterator
from typing import Any

from actors.core.errors import Unavailable
from storage.ports.audit_log import AuditEntry, AuditHead, Seal
from storage.ports.policy import Audit


class MemoryAuditLog:
    """Entries in a list."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []
        self.end = AuditHead(0, bytes(32), b"")
        self.away = False

    async def begin(self, seal: Seal) -> bool:
        """Append entry 0 to an empty one."""
        if self.entries or self.end.seal:
            return False
        await self.append(seal)
        return True

    async def head(self) -> AuditHead | None:
        """The end."""
        return self.end

    def writer(self, seal: Seal) -> Audit:
        """Append one."""

        async def write(_connection: Any) -> None:
            if self.away:
                raise Unavailable("the audit log cannot be written")
            entry, self.end = seal(self.end, 1_000_000 * (self.end.number + 1))
            self.entries.append(entry)

        return write

    async def append(self, seal: Seal) -> None:
        """Append one."""
        await self.writer(seal)(None)

    async def before(self, number: int, limit: int) -> list[AuditEntry]:
        """Newest first."""
        return [entry for entry in reversed(self.entries) if entry.number < number][:limit]

    async def read(self) -> AsyncIterator[AuditEntry | AuditHead]:
        """All, then the head."""
        for entry in self.entries:
            yield entry
        yield self.end
