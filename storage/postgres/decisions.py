"""The log of decisions and shadows in PostgreSQL: `storage.ports.policy.DecisionStore` and
`ShadowStore`."""

from collections.abc import Sequence

from storage.ports.policy import Audit, DecisionRow, Flip, ShadowRecord
from storage.postgres.pool import Database
from storage.postgres.statements import sql


class PostgresDecisionStore:
    """`storage.ports.policy.DecisionStore` over one :class:`Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sql("decisions")

    async def write(self, rows: Sequence[DecisionRow]) -> None:
        columns = [
            [getattr(row, name) for row in rows]
            for name in (
                "revision",
                "action",
                "role",
                "site",
                "allow",
                "rule",
                "obligations",
                "input_hash",
                "input",
                "dropped",
            )
        ]
        await self._database.fetch(self._sql["write"], *columns, writing=True)

    async def after(self, id: int, limit: int) -> list[DecisionRow]:
        return [
            DecisionRow(**row) for row in await self._database.fetch(self._sql["after"], id, limit)
        ]

    async def before(self, id: int, limit: int) -> list[DecisionRow]:
        return [
            DecisionRow(**row) for row in await self._database.fetch(self._sql["before"], id, limit)
        ]

    async def forget(self, *, keep_rows: int, keep_days: float, limit: int) -> int:
        return len(
            await self._database.fetch(
                self._sql["forget"], keep_rows, keep_days, limit, writing=True
            )
        )


class PostgresShadowStore:
    """`storage.ports.policy.ShadowStore` over one :class:`Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sql("decisions")

    async def start(
        self, revision: str, author: str, *, back: int, audit: Audit | None = None
    ) -> None:
        async with self._database.transaction(writing=True) as connection:
            await connection.execute(self._sql["start_shadow"], revision, author, back)
            await connection.execute(self._sql["clear_flips"], revision)
            if audit is not None:
                await audit(connection)

    async def end(self, revision: str, error: str = "", *, audit: Audit | None = None) -> bool:
        return bool(
            await self._database.change(self._sql["end_shadow"], revision, error, audit=audit)
        )

    async def find(self, revision: str = "") -> ShadowRecord | None:
        rows = await self._database.fetch(self._sql["shadow"], revision)
        return ShadowRecord(**rows[0]) if rows else None

    async def flips(self, revision: str) -> list[Flip]:
        return [Flip(**row) for row in await self._database.fetch(self._sql["flips"], revision)]

    async def found(
        self, shadow: ShadowRecord, last_id: int, evaluated: int, flips: Sequence[Flip]
    ) -> bool:
        async with self._database.transaction(writing=True) as connection:
            if not await connection.fetch(
                self._sql["progress"], shadow.revision, shadow.last_id, last_id, evaluated
            ):
                return False
            columns = [
                [getattr(flip, name) for flip in flips]
                for name in ("kind", "action", "role", "site", "count", "example")
            ]
            await connection.execute(self._sql["add_flips"], shadow.revision, *columns)
        return True
