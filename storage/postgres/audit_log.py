"""The audit log in PostgreSQL: `storage.ports.audit_log.AuditLog`."""

from collections.abc import AsyncIterator
from typing import Any

from actors.core.errors import Unavailable
from storage.ports.audit_log import AuditEntry, AuditHead, Seal
from storage.ports.policy import Audit
from storage.postgres.pool import Database
from storage.postgres.statements import sql

PAGE = 1000  # entries read per round trip


class PostgresAuditLog:
    """`storage.ports.audit_log.AuditLog` over one :class:`Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sql("audit_log")

    async def begin(self, seal: Seal) -> bool:
        async with self._database.transaction(writing=True) as connection:
            found = await connection.fetchrow(self._sql["lock_head"])
            if (
                found is None
                or found["number"] != 0
                or found["seal"]
                or await connection.fetchrow(self._sql["after"], -(2**62), 1)
            ):
                return False
            await self.writer(seal)(connection)
        return True

    async def head(self) -> AuditHead | None:
        rows = await self._database.fetch(self._sql["head"])
        return AuditHead(**rows[0]) if rows else None

    def writer(self, seal: Seal) -> Audit:

        async def write(connection: Any) -> None:
            found = await connection.fetchrow(self._sql["lock_head"])
            if found is None:
                raise Unavailable(
                    "the end of the audit log is missing, so nothing can be appended",
                    hint="`eyrie audit log verify` tells more.",
                )
            number, hash, mac, now_us = found
            entry, head = seal(AuditHead(number, hash, mac), now_us)
            await connection.execute(
                self._sql["append"],
                entry.number,
                entry.time_us,
                entry.who,
                entry.token,
                entry.action,
                entry.target,
                entry.detail,
                entry.hash,
                entry.seal,
            )
            await connection.execute(self._sql["set_head"], head.number, head.hash, head.seal)

        return write

    async def append(self, seal: Seal) -> None:
        async with self._database.transaction(writing=True) as connection:
            await self.writer(seal)(connection)

    async def before(self, number: int, limit: int) -> list[AuditEntry]:
        return [
            AuditEntry(**row)
            for row in await self._database.fetch(self._sql["before"], number, limit)
        ]

    async def read(self) -> AsyncIterator[AuditEntry | AuditHead]:
        async with self._database.transaction(readonly=True) as connection:
            last: int | None = None
            while rows := await connection.fetch(
                self._sql["after"], -(2**62) if last is None else last, PAGE
            ):
                for row in rows:
                    yield AuditEntry(**row)
                last = rows[-1]["number"]
            for row in await connection.fetch(self._sql["head"]):
                yield AuditHead(**row)
