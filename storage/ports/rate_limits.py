"""What is asked of storage about what all hubs keep together and may lose: token buckets, what was
allowed lately, and codes that sign in.

The rules of `storage.ports.cameras` hold here too.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Ask(msgspec.Struct, frozen=True):
    """Take at most `want` tokens of the bucket `name`, which gets `rate` a second and holds
    `burst`."""

    name: str
    rate: float
    burst: int
    want: int = 1


class Grant(msgspec.Struct, frozen=True):
    """`given` tokens; after `retry_s` seconds there is one more."""

    given: int
    retry_s: float


class Buckets(Protocol):
    """Token buckets that every hub takes from. A bucket nobody has used for as long as it takes to
    fill is full, and forgotten."""

    async def charge(self, asks: Sequence[Ask]) -> list[Grant]:
        """One grant each, in order, in one round trip. Raises Unavailable, or UnknownOutcome: the
        tokens may be gone."""


class GrantStore(Protocol):
    """Names of what was allowed lately, to whom. It may be lost: it decides only whether somebody
    who is denied may come back."""

    async def note(self, names: Sequence[str], ttl_s: int) -> None:
        """Remember them for `ttl_s` seconds from now. Raises Unavailable, UnknownOutcome."""

    async def noted(self, name: str) -> bool:
        """Whether it is remembered. Raises Unavailable."""


class SignInStore(Protocol):
    """What codes of sign-ins hand over, once. It may be lost: then another link is made."""

    async def keep(self, name: str, sealed: bytes, ttl_s: int) -> None:
        """Keep it for `ttl_s` seconds. Raises Unavailable, UnknownOutcome."""

    async def pop(self, name: str) -> bytes | None:
        """What was kept, and kept no longer: of all who ask, on all hubs, one gets it. Raises
        Unavailable, UnknownOutcome."""
