"""What is asked of storage about policies as a product: revisions as they were uploaded, and which one is in force.

The rules of `storage.ports` hold here too. Storage knows nothing of what it keeps: sources and signatures are bytes of the caller's.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec

Audit = Callable[[Any], Awaitable[None]]
"""Writes the record of a change over the connection whose transaction makes the change; when it raises, nothing is changed."""


class RevisionRecord(msgspec.Struct, frozen=True):
    """A stored revision. `number` and `created_us` are set when read; `source` is empty in lists. `author` is a token's subject."""

    revision: str
    source: bytes
    signature: bytes
    author: str = ""
    note: str = ""
    number: int = 0
    created_us: int = 0


class Activation(msgspec.Struct, frozen=True):
    """`revision` is in force since `time_us` (set when read). `generation` counts activations: 1, 2, 3, …"""

    generation: int
    revision: str
    previous: str | None
    signature: bytes
    author: str = ""
    time_us: int = 0


class RevisionStore(Protocol):
    """Revisions and activations. Neither is ever changed or deleted."""

    async def add(self, record: RevisionRecord, *, audit: Audit | None = None) -> bool:
        """Keep a revision; False when it is there already (nothing is written then)."""

    async def get(self, revision: str) -> RevisionRecord | None:
        """One revision with its source."""

    async def list(self, *, before: int, limit: int) -> list[RevisionRecord]:
        """Those with a lower number than `before`, newest first, without their sources."""

    async def current(self) -> Activation | None:
        """What is in force; None when nothing ever was."""

    async def activate(self, activation: Activation, *, audit: Audit | None = None) -> bool:
        """Put it in force if its generation is the next one; False when somebody was faster. Raises Conflict for an unknown revision."""
