"""What the rest of Eyrie asks of storage. Contracts live in these docstrings; `postgres_*` and
`redis_*` are the only implementations, `tests/support` holds doubles with failure switches, and one
contract suite runs against both.

Errors: :class:`~actors.core.errors.Unavailable` when the server is away before a write was sent,
:class:`~actors.core.errors.UnknownOutcome` when a write was sent and no answer came,
:class:`~actors.core.errors.PoisonRow` (a BadInput) when a value can never be stored; it names the
camera, and nothing of the call was stored. :class:`~actors.core.errors.ConfigError` when the server
refuses the login or lacks the schema. Nothing else escapes.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from actors.core.messages.commits import Activation, CommitRow, Ownership
from storage.ports.event_queries import Key
from storage.ports.events import EventRow


class CameraStore(Protocol):
    """The camera rows: assignment, activation, commit. PostgreSQL is the authority."""

    async def assign(self, camera: str, owner: str | None, *, previous: str | None) -> bool:
        """Make `owner` (an actor incarnation; None: nobody) the owner if the owner still is
        `previous`. The supervisor alone calls this.

        True also when `owner` already is the owner (a repeated call: incarnations are unique).
        """

    async def activate(
        self, owner: str, cameras: Sequence[str], *, above: Mapping[str, int] | None = None
    ) -> list[Activation]:
        """``generation + 1`` where `owner` still owns the row; cameras missing from the answer are
        not owned: stop.

        `above`: camera → a generation that Redis already knows (`Publisher.fences`); the new one is
        greater than it too, so a restored database does not stay fenced out.
        """

    async def open_session(self, camera: str, owner: str, generation: int, session: str) -> str:
        """Move the row to a session never seen before (`last_seq` 0).

        ``opened``, ``superseded`` (seen before and not the newest) or ``fenced``.

        ``opened`` also when the row already stands in `session` (a repeated call). `last_offset`
        and `chain` stay.
        """

    async def commit(self, rows: Sequence[CommitRow]) -> set[str]:
        """ONE statement: advance every row whose owner, generation and `before` still hold, with
        its events, dead letters and replays.

        Returns the cameras that moved. At most one row per camera; they are locked in camera order.
        All or nothing per camera. The row's session never moves here (`open_session` does that);
        its epoch may (`after.epoch`, with `last_offset` counting the new epoch's events).
        """

    async def ownership(self, cameras: Sequence[str]) -> dict[str, Ownership]:
        """The rows as they are now, to classify a commit that did not move or whose outcome is
        unknown."""

    async def owners(self) -> dict[str, str | None]:
        """camera → owner, of all registered cameras."""

    async def homes(self) -> dict[str, str]:
        """camera → site, of all registered cameras."""


def key_of(row: EventRow) -> Key:
    """Where a row stands in a listing."""
    return row.received_us, row.camera, row.epoch, row.offset
