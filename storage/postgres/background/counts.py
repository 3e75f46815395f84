"""Counts in PostgreSQL: `storage.ports.background.counts.CountStore`."""

from collections.abc import Sequence

from actors.core.times import from_us, to_us
from storage.ports.background.counts import STEPS, CountQuery, CountRow, CountSlice, Step
from storage.postgres.pool import Database
from storage.postgres.statements import sql


class PostgresCountStore:
    """`storage.ports.background.counts.CountStore` over one :class:`Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sql("counts")

    async def fold(
        self,
        after: str,
        *,
        cameras: int,
        events: int,
        only: Sequence[str] | None = None,
        everywhere: bool = False,
    ) -> list[CountSlice]:
        names = None if only is None else list(only)
        arguments = (after, cameras, events, everywhere, names)
        rows = await self._database.fetch(self._sql["fold"], *arguments, writing=True)
        return [CountSlice(*row) for row in rows]

    async def forget(self, step: Step, days: float, limit: int) -> int:
        arguments = (STEPS[step], days, limit)
        return len(await self._database.fetch(self._sql["forget"], *arguments, writing=True))

    async def read(self, query: CountQuery, limit: int) -> list[CountRow]:
        rows = await self._database.fetch(
            self._sql["read"],
            STEPS[query.step],
            from_us(query.low_us),
            from_us(query.high_us),
            query.camera,
            query.site,
            list(query.exclude),
            query.place,
            query.name,
            query.label,
            limit,
        )
        return [CountRow(to_us(row[0]), *row[1:]) for row in rows]

    async def behind(
        self, *, camera: str | None = None, site: str | None = None, exclude: Sequence[str] = ()
    ) -> int:
        arguments = (camera, site, list(exclude))
        return int(await self._database.fetch_value(self._sql["behind"], *arguments))
