"""Dead letters in PostgreSQL: `storage.ports.dead_letters.DeadLetterStore`."""

from collections.abc import Sequence

from storage.ports.dead_letters import DeadLetterRow, NewLetter
from storage.ports.keyring import Keyring
from storage.ports.policy import Audit
from storage.postgres import rows as rows_of
from storage.postgres.people.letters import opened, sealed
from storage.postgres.pool import Database
from storage.postgres.statements import sql

NEW_AT = (0, 1, 2, 5, 3, 4)  # camera, session, code, received, detail and raw of a new letter


class PostgresDeadLetterStore:
    """`storage.ports.dead_letters.DeadLetterStore` over one :class:`Database`."""

    def __init__(self, database: Database, keyring: Keyring | None = None) -> None:
        """`keyring`: what letters are encrypted under; None stores them as they come, and reads no
        encrypted one."""
        self._database = database
        self._keyring = keyring
        self._sql = sql("dead_letters")

    async def add_many(self, letters: Sequence[NewLetter]) -> list[int]:
        columns = await sealed(rows_of.new_letter_columns(letters), NEW_AT, self._keyring)
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
            for row in await opened(
                await self._database.fetch(self._sql["list"], camera, status, after, limit),
                self._keyring,
            )
        ]

    async def get(self, letter: int) -> DeadLetterRow | None:
        rows = await self._database.fetch(self._sql["get"], letter)
        found = await opened(rows, self._keyring)
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
