"""Policy marks and revocations in PostgreSQL: `storage.ports.processes.PolicyStore`."""

from storage.ports.policy import Audit
from storage.ports.processes import PolicyMarks, Revocation
from storage.postgres.pool import Database
from storage.postgres.statements import sql


class PostgresPolicyStore:
    """`storage.ports.processes.PolicyStore` over one :class:`Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sql("policy")

    async def marks(self) -> PolicyMarks:
        """See the port."""
        revision = await self._database.fetch_value(self._sql["active_revision"])
        found = await self._database.fetch(self._sql["revocations"])
        return PolicyMarks(revision, [Revocation(**row) for row in found])

    async def revoke(self, revocation: Revocation, *, audit: Audit | None = None) -> None:
        """See the port."""
        await self._database.change(
            self._sql["revoke"], revocation.kind, revocation.value, revocation.before_s, revocation.until_s, audit=audit
        )
        await self._database.fetch(self._sql["forget_revocations"])
