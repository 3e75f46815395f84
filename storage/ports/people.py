"""What is asked of storage about people who sign in with a password: who they are, and their
sessions. It sees no secret: passwords come as Argon2id, cookies and tickets as SHA-256."""

from typing import Protocol

import msgspec

from storage.ports.policy import Audit


class Person(msgspec.Struct, frozen=True):
    """One of them; `password` is its Argon2id, empty in lists."""

    name: str
    password: str
    roles: list[str]
    sites: list[str]
    disabled: bool = False

    def __repr__(self) -> str:
        """Without the hash: this may end in a log."""
        return f"Person({self.name!r})"


class PersonChange(msgspec.Struct, frozen=True):
    """What becomes different; None leaves it."""

    password: str | None = None
    roles: list[str] | None = None
    sites: list[str] | None = None
    disabled: bool | None = None


class TicketHolder(msgspec.Struct, frozen=True):
    """Who holds a ticket, as it is now. Times are whole seconds since 1970."""

    person: str
    session: str
    roles: list[str]
    sites: list[str]
    begun_s: int
    ticket_ends_s: int
    ends_s: int


class PeopleStore(Protocol):
    """People and sessions. Whatever ends a session revokes its id, at the same moment, so that open
    sockets of it close as those of a revoked token do."""

    async def person(self, name: str) -> Person | None:
        """One, with the hash of its password."""

    async def all(self, limit: int) -> list[Person]:
        """All of them by name."""

    async def add(self, person: Person, *, audit: Audit | None = None) -> bool:
        """Keep a new one; False when there is one of that name."""

    async def change(self, name: str, change: PersonChange, *, audit: Audit | None = None) -> bool:
        """Change one and end all its sessions; False when there is none of that name."""

    async def open(
        self, session: str, secret: bytes, person: Person, *, life_s: float, idle_s: float
    ) -> bool:
        """Begin a session of `person` as it was read; False when it changed meanwhile.
        Sessions that are over or were not used for `idle_s` are forgotten."""

    async def renew(
        self, secret: bytes, ticket: bytes, *, idle_s: float, ticket_s: float, kept: int
    ) -> TicketHolder | None:
        """A new ticket of a session that holds, which counts as its use; the `kept` newest
        before it go on. None where no session holds."""

    async def holder(self, ticket: bytes) -> TicketHolder | None:
        """Whose ticket it is, while it and its session hold."""

    async def end(self, secret: bytes) -> str | None:
        """End a session; whose it was."""
