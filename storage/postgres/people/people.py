"""People and their sessions in PostgreSQL: `storage.ports.people.PeopleStore`."""

from storage.ports.people import Person, PersonChange, TicketHolder
from storage.ports.policy import Audit
from storage.postgres.pool import Database
from storage.postgres.statements import sql


class PostgresPeopleStore:
    """`storage.ports.people.PeopleStore` over one :class:`Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sql("people")

    async def person(self, name: str) -> Person | None:
        rows = await self._database.fetch(self._sql["person"], name)
        return Person(**rows[0]) if rows else None

    async def all(self, limit: int) -> list[Person]:
        return [Person(**row) for row in await self._database.fetch(self._sql["all"], limit)]

    async def add(self, person: Person, *, audit: Audit | None = None) -> bool:
        return bool(
            await self._database.change(
                self._sql["add"],
                person.name,
                person.password,
                person.roles,
                person.sites,
                audit=audit,
            )
        )

    async def change(self, name: str, change: PersonChange, *, audit: Audit | None = None) -> bool:
        async with self._database.transaction(writing=True) as connection:
            found = await connection.fetchval(
                self._sql["change"],
                name,
                change.password,
                change.roles,
                change.sites,
                change.disabled,
            )
            if found is None:
                return False
            # A statement of its own: it sees a session that was begun while the row was waited for.
            await connection.execute(self._sql["end_all"], name)
            if audit is not None:
                await audit(connection)
        return True

    async def open(
        self, session: str, secret: bytes, person: Person, *, life_s: float, idle_s: float
    ) -> bool:
        await self._database.fetch(self._sql["forget"], idle_s, writing=True)
        return bool(
            await self._database.fetch(
                self._sql["open"],
                session,
                secret,
                person.name,
                person.password,
                life_s,
                writing=True,
            )
        )

    async def renew(
        self, secret: bytes, ticket: bytes, *, idle_s: float, ticket_s: float, kept: int
    ) -> TicketHolder | None:
        rows = await self._database.fetch(
            self._sql["renew"], secret, ticket, idle_s, ticket_s, kept, writing=True
        )
        return TicketHolder(**rows[0]) if rows else None

    async def holder(self, ticket: bytes) -> TicketHolder | None:
        rows = await self._database.fetch(self._sql["holder"], ticket)
        return TicketHolder(**rows[0]) if rows else None

    async def end(self, secret: bytes) -> str | None:
        found = await self._database.fetch_value(self._sql["end"], secret, writing=True)
        return None if found is None else str(found)
