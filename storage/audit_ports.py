"""What is asked of storage about the log of who changed what. Storage knows nothing of hashes and seals: they are bytes of the caller's."""

from collections.abc import AsyncIterator, Callable
from typing import Protocol

import msgspec

from storage.policy_ports import Audit


class AuditDraft(msgspec.Struct, frozen=True):
    """Who did what to what: a token's subject and id, an action's name, what it was done to, and one line more."""

    who: str
    token: str
    action: str
    target: str
    detail: str = ""


class AuditEntry(msgspec.Struct, frozen=True):
    """A sealed entry. `number` counts 1, 2, 3, …; `hash` (32 bytes) covers the entry and the hash before it."""

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
    """The end of the log: how many entries there are and the hash of the last, sealed. `number` 0: none yet."""

    number: int
    hash: bytes
    seal: bytes


Seal = Callable[[AuditHead, int], tuple[AuditEntry, AuditHead]]
"""(the end of the log, now in microseconds) → the next entry and the new end."""


class AuditLog(Protocol):
    """The log. Entries are never changed or deleted."""

    def writer(self, seal: Seal) -> Audit:
        """What appends one entry within the transaction of the change that it tells of."""

    async def append(self, seal: Seal) -> None:
        """Append one entry by itself, before something is done that has no transaction."""

    async def before(self, number: int, limit: int) -> list[AuditEntry]:
        """Those with a lower number, newest first."""

    def read(self) -> AsyncIterator[AuditEntry | AuditHead]:
        """All entries by number, then the head, as of one moment."""
