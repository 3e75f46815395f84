"""Alerts in PostgreSQL: `storage.ports.alerts.AlertStore`, and their part of a commit."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from actors.core.messages.commits import CommitRow
from storage.ports.alerts import Act, AlertActed, AlertRow, AlertWork
from storage.ports.policy import Audit
from storage.postgres import rows as rows_of
from storage.postgres.pool import Database
from storage.postgres.statements import sql

WIDTH = 9  # columns of a row of `alerts` in a commit
_WORK = tuple(field.name for field in msgspec.structs.fields(AlertWork))


def part(after: int) -> str:
    """The part of `commit_whole` for alerts, its parameters behind number `after`."""
    return re.sub(r"\$a(\d)", lambda found: f"${after + int(found[1])}", sql("alerts")["store"])


def columns(rows: Sequence[CommitRow]) -> list[list[Any]] | None:
    """Its parameters; None: no alert changed. One changes with an event, which knows the site."""
    found = [
        (
            row.camera,
            point.rule,
            point.place,
            row.events[0].event.site,
            point.severity,
            point.active,
            point.occurrences,
            point.since_us,
            point.cause,
        )
        for row in rows
        for point in row.alerts
    ]
    return rows_of.columns(found, WIDTH) if found else None


class PostgresAlertStore:
    """`storage.ports.alerts.AlertStore` over one :class:`Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sql("alerts")

    async def select(
        self,
        *,
        camera: str | None = None,
        site: str | None = None,
        exclude: Sequence[str] = (),
        every: bool = False,
        limit: int,
    ) -> list[AlertRow]:
        rows = await self._database.fetch(
            self._sql["list"], camera, site, list(exclude), every, limit
        )
        return [_row(row) for row in rows]

    async def read(self, camera: str, rule: str, place: str) -> AlertRow | None:
        rows = await self._database.fetch(self._sql["read"], camera, rule, place)
        return _row(rows[0]) if rows else None

    async def acts(self, camera: str, rule: str, place: str, limit: int) -> list[AlertActed]:
        rows = await self._database.fetch(self._sql["acts"], camera, rule, place, limit)
        return [AlertActed(**row) for row in rows]

    async def act(
        self,
        camera: str,
        rule: str,
        place: str,
        decide: Callable[[AlertRow], AlertWork],
        *,
        act: Act,
        who: str,
        note: str,
        audit: Audit | None,
    ) -> AlertRow | None:
        key = (camera, rule, place)
        async with self._database.transaction(writing=True) as connection:
            await connection.execute(self._sql["lock"], *key)
            found = await connection.fetchrow(self._sql["read"], *key)
            if found is None:
                return None
            row = _row(found)
            work = msgspec.structs.replace(decide(row), version=row.work.version + 1)
            values = [getattr(work, name) for name in _WORK]
            await connection.execute(self._sql["work"], *key, *values)
            await connection.execute(self._sql["log"], *key, row.occurrences, act, who, note)
            if audit is not None:
                await audit(connection)
        return msgspec.structs.replace(row, work=work)


def _row(row: Any) -> AlertRow:
    work = {name: row[name] for name in _WORK if row[name] is not None}
    told = {
        field.name: row[field.name]
        for field in msgspec.structs.fields(AlertRow)
        if field.name != "work"
    }
    return AlertRow(**told, work=AlertWork(**work))
