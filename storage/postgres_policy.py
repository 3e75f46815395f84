"""Policy revisions and revocations in PostgreSQL: `storage.fleet_ports.PolicyStore`."""

from storage.fleet_ports import PolicyMarks, Revocation
from storage.postgres_pool import Database
from storage.statements import sql


class PostgresPolicyStore:
    """`storage.fleet_ports.PolicyStore` over one :class:`Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sql("policy")

    async def marks(self, *, max_age_s: float = 86_400.0) -> PolicyMarks:
        """See the port."""
        revision = await self._database.fetch_value(self._sql["active_revision"])
        found = await self._database.fetch(self._sql["revocations"], max_age_s)
        return PolicyMarks(revision, [Revocation(row["kind"], row["value"], row["before_s"]) for row in found])

    async def revoke(self, revocation: Revocation) -> None:
        """See the port."""
        await self._database.fetch(self._sql["revoke"], revocation.kind, revocation.value, revocation.before_s, writing=True)

    async def put_revision(self, revision: str, source: bytes, *, active: bool) -> None:
        """See the port. One transaction: there is never a moment without an active revision once there was one."""
        async with self._database.transaction(writing=True) as connection:
            if active:
                await connection.execute(self._sql["deactivate"], revision)
            await connection.execute(self._sql["put_revision"], revision, source, active)

    async def revision(self, revision: str) -> bytes | None:
        """See the port."""
        source: bytes | None = await self._database.fetch_value(self._sql["revision"], revision)
        return source
