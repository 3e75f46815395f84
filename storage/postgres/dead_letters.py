"""Dead letters in PostgreSQL: `storage.ports.dead_letters.DeadLetterStore`."""

from collections.abc import Sequence

from storage.ports.dead_letters import DeadLetterRow, NewLetter
from storage.ports.policy import Audit
from storage.postgres import rows as rows_of
from storage.postgres.pool import Database
from storage.postgres.statements import sql


class PostgresDeadLetterStore:
    """`storage.ports.dead_letters.DeadLetterStore` over one :class:`Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sql("dead_letters")

    async def add_many(self, letters: Sequence[NewLetter]) -> list[int]:
        columns = rows_of.new_letter_columns(letters)
        return [
            int(row[0])
            for row in await self._database.fetch(self._sql["add"], *columns, writing=True)
        ]

    async def add(
        self, camera: str, session: str, code: str, detail: str, raw: bytes, received_us: int
    ) -> int:
        return (await self.add_many([NewLetter(camera, session, code, detail, raw, received_us)]))[
            0
        ]

    async def list(
        self,
        *,
        camera: str | None = None,
        status: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> list[DeadLetterRow]:
        return [
            rows_of.dead_letter(row)
            for row in await self._database.fetch(self._sql["list"], camera, status, after, limit)
        ]

    async def get(self, letter: int) -> DeadLetterRow | None:
        found = await self._database.fetch(self._sql["get"], letter)
        return rows_of.dead_letter(found[0]) if found else None

    async def mark(
        self,
        ids: Sequence[int],
        status: str,
        *,
        reason: str = "",
        by: str = "",
        audit: Audit | None = None,
    ) -> int:
        """Any other status is refused by the table (Conflict)."""
        texts = [rows_of.storable(reason)[: rows_of.MAX_DETAIL], rows_of.storable(by)]
        return len(
            await self._database.change(self._sql["mark"], [*ids], status, *texts, audit=audit)
        )
