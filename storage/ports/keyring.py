"""What is asked of a keyring: keys for personal values that lie outside PostgreSQL and its log.

A folder is the one implementation here; one that asks a key management service keeps the same
contract. Who destroys a key has erased everything that was ever encrypted under it, in every
copy of the database.
"""

from collections.abc import Collection
from typing import NamedTuple, Protocol

KEY_BYTES = 32


class KeyScope(NamedTuple):
    """What one key is for: the personal values of one class, one camera and one UTC day of
    receiving (``20261130``)."""

    day: str
    site: str
    camera: str
    class_: str


class Key(NamedTuple):
    """`id` says which key it is and may be stored anywhere; `secret` (32 bytes) may not."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        """Without the secret: this may end in a log."""
        return f"Key({self.id!r})"


class Keyring(Protocol):
    """Keys by scope and by id. Raises Unavailable where it cannot be read or written: nothing
    personal is stored then, and nothing shown."""

    async def current(self, scopes: Collection[KeyScope]) -> dict[KeyScope, Key]:
        """The key to encrypt under, of each scope. It is made, and on disk, when this returns."""

    async def find(self, ids: Collection[str]) -> dict[str, bytes | None]:
        """id → secret, None for a key that was destroyed. An id that is missing from the answer was
        never here, or is not yet."""

    async def renew(self, ids: Collection[str]) -> dict[str, Key]:
        """For each of these keys one that is newer and of the same scope, made where there is none:
        it is current from now on, everywhere within a second. Again gives the same."""

    async def destroy(self, ids: Collection[str]) -> list[str]:
        """Erase these keys for ever, and remember that they were; those that were not erased
        before. A key that was never here counts as one that is erased: it must not come later."""

    async def ids(self) -> list[str]:
        """Every key that can be read, sorted."""
