"""What is asked of storage about dead letters."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from storage.ports.policy import Audit


class DeadLetterRow(msgspec.Struct, frozen=True):
    """A dead letter as read back. `status`: ``new``, ``replayed`` or ``discarded`` (why: `reason`;
    by whom: `by`, a token's subject).

    `seq` is 0 where the item had none.
    """

    id: int
    camera: str
    session: str
    seq: int
    code: str
    detail: str
    raw: bytes
    received_us: int
    status: str
    reason: str = ""
    by: str = ""


class NewLetter(msgspec.Struct, frozen=True):
    """An item to keep that had no seq (an undecodable frame); `camera` and `session` may be
    empty."""

    camera: str
    session: str
    code: str
    detail: str
    raw: bytes
    received_us: int


class DeadLetterStore(Protocol):
    """The refused items. Those of numbered observations get there by `CameraStore.commit`."""

    async def add_many(self, letters: Sequence[NewLetter]) -> list[int]:
        """Keep several in one statement; their ids, in this order."""

    async def add(
        self, camera: str, session: str, code: str, detail: str, raw: bytes, received_us: int
    ) -> int:
        """The same with one :class:`NewLetter`; its id."""

    async def list(
        self,
        *,
        camera: str | None = None,
        status: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> list[DeadLetterRow]:
        """By id, those with a greater id than `after`, at most `limit`."""

    async def get(self, letter: int) -> DeadLetterRow | None:
        """One of them."""

    async def mark(
        self,
        ids: Sequence[int],
        status: str,
        *,
        reason: str = "",
        by: str = "",
        audit: Audit | None = None,
    ) -> int:
        """Set ``replayed`` or ``discarded``, why and by whom, on those that are still ``new``; how
        many were. `audit`: see Registry.

        A replay marks its letter by `CameraStore.commit` instead, in the statement that stores its
        event.
        """
