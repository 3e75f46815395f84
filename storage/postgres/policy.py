"""Policy revisions in PostgreSQL: `storage.ports.policy.RevisionStore`."""

from typing import Any

from storage.ports.policy import Audit, PolicyActivation, PolicyMarks, RevisionRecord, Revocation
from storage.postgres.pool import Database
from storage.postgres.statements import sql


class PostgresRevisionStore:
    """`storage.ports.policy.RevisionStore` over one :class:`Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sql("policy")

    async def add(self, record: RevisionRecord, *, audit: Audit | None = None) -> bool:
        return await self._change(
            "add_revision",
            audit,
            record.revision,
            record.source,
            record.signature,
            record.author,
            record.note,
        )

    async def get(self, revision: str) -> RevisionRecord | None:
        rows = await self._database.fetch(self._sql["revision"], revision)
        return _record(rows[0]) if rows else None

    async def list(self, *, before: int, limit: int) -> list[RevisionRecord]:
        return [
            _record(row)
            for row in await self._database.fetch(self._sql["revisions"], before, limit)
        ]

    async def current(self) -> PolicyActivation | None:
        rows = await self._database.fetch(self._sql["activation"])
        return PolicyActivation(**rows[0]) if rows else None

    async def activate(self, activation: PolicyActivation, *, audit: Audit | None = None) -> bool:
        return await self._change(
            "activate",
            audit,
            activation.generation,
            activation.revision,
            activation.previous,
            activation.signature,
            activation.author,
        )

    async def _change(self, statement: str, audit: Audit | None, *arguments: Any) -> bool:
        return bool(await self._database.change(self._sql[statement], *arguments, audit=audit))


def _record(row: Any) -> RevisionRecord:
    return RevisionRecord(**row)


class PostgresPolicyStore:
    """`storage.ports.policy.PolicyStore` over one :class:`Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sql("policy")

    async def marks(self) -> PolicyMarks:
        revision = await self._database.fetch_value(self._sql["active_revision"])
        found = await self._database.fetch(self._sql["revocations"])
        return PolicyMarks(revision, [Revocation(**row) for row in found])

    async def revoke(self, revocation: Revocation, *, audit: Audit | None = None) -> None:
        await self._database.change(
            self._sql["revoke"],
            revocation.kind,
            revocation.value,
            revocation.before_s,
            revocation.until_s,
            audit=audit,
        )
        await self._database.fetch(self._sql["forget_revocations"])
