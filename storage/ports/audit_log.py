"""What is asked of storage about the log of who changed what. Storage knows nothing of hashes and
seals: they are bytes of the caller's."""

from collections.abc import AsyncIterator, Callable
from typing import Protocol

import msgspec

from storage.ports.policy import Audit


class AuditDraft(msgspec.Struct, frozen=True):
    """Who did what to what: a token's subject and id, an action's name, what it was done to, and
    one line more."""

    who: str
    token: str
    action: str
    target: str
    detail: str = ""


class AuditEntry(msgspec.Struct, frozen=True):
    """A sealed entry. `number` counts 0, 1, 2, …; 0 is the beginning. `hash` (32 bytes) covers the
    entry and the hash before it."""

    number: int
    time_us: int
    who: str
    token: str
    action: str
    target: str
    detail: str
    hash: bytes
    seal: bytes


class AuditHead(msgspec.Struct, frozen=True):
    """The end of the log: the number and the hash of the last entry, sealed. Without a seal it was
    never begun."""

    number: int
    hash: bytes
    seal: bytes


Seal = Callable[[AuditHead, int], tuple[AuditEntry, AuditHead]]
"""(the end of the log, now in microseconds) → the next entry and the new end."""


class AuditLog(Protocol):
    """The log. Entries are never changed or deleted."""

    async def begin(self, seal: Seal) -> bool:
        """Append entry 0 to a log that was never begun and has no entry; False for any other."""

    async def head(self) -> AuditHead | None:
        """The end of the log; None when it is missing."""

    def writer(self, seal: Seal) -> Audit:
        """What appends one entry within the transaction of the change that it tells of."""

    async def append(self, seal: Seal) -> None:
        """Append one entry by itself, before something is done that has no transaction."""

    async def before(self, number: int, limit: int) -> list[AuditEntry]:
        """Those with a lower number, newest first."""

    def read(self) -> AsyncIterator[AuditEntry | AuditHead]:
        """All entries by number, then the head, as of one moment."""
