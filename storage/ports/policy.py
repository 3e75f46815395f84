"""What is asked of storage about policies as a product: revisions as they were uploaded, and which
one is in force.

The rules of `storage.ports.cameras` hold here too. Storage knows nothing of what it keeps: sources
and signatures are bytes of the caller's.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec

Audit = Callable[[Any], Awaitable[None]]
"""Writes the record of a change over the connection whose transaction makes the change; when it
raises, nothing is changed."""


class RevisionRecord(msgspec.Struct, frozen=True):
    """A stored revision. `number` and `created_us` are set when read; `source` is empty in lists.
    `author` is a token's subject."""

    revision: str
    source: bytes
    signature: bytes
    author: str = ""
    note: str = ""
    number: int = 0
    created_us: int = 0


class PolicyActivation(msgspec.Struct, frozen=True):
    """`revision` is in force since `time_us` (set when read). `generation` counts activations: 1,
    2, 3, …"""

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

    async def current(self) -> PolicyActivation | None:
        """What is in force; None when nothing ever was."""

    async def activate(self, activation: PolicyActivation, *, audit: Audit | None = None) -> bool:
        """Put it in force if its generation is the next one; False when somebody was faster. Raises
        Conflict for an unknown revision."""


class DecisionRow(msgspec.Struct, frozen=True):
    """One decision. `role` and `site` are what it may be counted by; `obligations` and `input`
    JSON, the input masked.

    `input_hash`: 32 bytes. `dropped`: how many were lost before it. `id` and `time_us` are set when
    read.
    """

    revision: str
    action: str
    role: str
    site: str
    allow: bool
    rule: str
    obligations: str
    input_hash: bytes
    input: str
    dropped: int = 0
    id: int = 0
    time_us: int = 0


class DecisionStore(Protocol):
    """The log of decisions."""

    async def write(self, rows: Sequence[DecisionRow]) -> None:
        """Append, in one statement."""

    async def after(self, id: int, limit: int) -> list[DecisionRow]:
        """Those with a greater id, oldest first."""

    async def before(self, id: int, limit: int) -> list[DecisionRow]:
        """Those with a lower id, newest first."""

    async def forget(self, *, keep_rows: int, keep_days: float, limit: int) -> int:
        """Delete what is beyond the newest `keep_rows` or older than `keep_days`, at most `limit`
        rows; how many were."""


class ShadowRecord(msgspec.Struct, frozen=True):
    """A revision compared with the one in force: `evaluated` decisions, up to `last_id` of the log;
    `ended_us` None: it runs."""

    revision: str
    author: str
    evaluated: int
    last_id: int
    error: str
    started_us: int
    ended_us: int | None


class Flip(msgspec.Struct, frozen=True):
    """Decisions that come out otherwise: `kind` is deny_to_allow, allow_to_deny, obligations or
    error; `example` JSON."""

    kind: str
    action: str
    role: str
    site: str
    count: int
    example: str


class ShadowStore(Protocol):
    """Shadows and what they found. One runs at a time."""

    async def start(
        self, revision: str, author: str, *, back: int, audit: Audit | None = None
    ) -> None:
        """Compare `revision` from now on, and with the `back` newest rows of the log; what it found
        before is forgotten.

        Raises Conflict while another one runs, or for an unknown revision.
        """

    async def end(self, revision: str, error: str = "", *, audit: Audit | None = None) -> bool:
        """Stop comparing; False when it does not run."""

    async def find(self, revision: str = "") -> ShadowRecord | None:
        """The shadow of a revision; without one, the running shadow."""

    async def flips(self, revision: str) -> list[Flip]:
        """What it found, by kind, the most frequent first."""

    async def found(
        self, shadow: ShadowRecord, last_id: int, evaluated: int, flips: Sequence[Flip]
    ) -> bool:
        """Add what was found up to `last_id`; False when somebody else did, or it has ended."""


class Revocation(msgspec.Struct, frozen=True):
    """What no longer holds. `kind` ``jti``: one token; ``subject``: all of it issued before
    `before_s`; ``certificate``: that SHA-256.

    It holds until `until_s`, when what it revokes has ended by itself; None: for ever. Times are
    seconds since 1970.
    """

    kind: str
    value: str
    before_s: int
    until_s: int | None = None


class PolicyMarks(msgspec.Struct, frozen=True):
    """What hubs poll every second: the active revision (None: none was ever stored) and the
    revocations still worth keeping."""

    revision: str | None
    revocations: list[Revocation]


class PolicyStore(Protocol):
    """What is polled of policy: the revision in force and the revoked tokens."""

    async def marks(self) -> PolicyMarks:
        """The active revision, and the revocations that hold now."""

    async def revoke(self, revocation: Revocation, *, audit: Audit | None = None) -> None:
        """Keep a revocation. A repeated one never shortens it. Forgets some that ended more than a
        day ago."""
