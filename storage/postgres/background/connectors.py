"""Connectors, workers and circuit breakers in PostgreSQL: `storage.ports.background.connectors`."""

from collections.abc import Sequence

from actors.core.times import to_us
from storage.ports.background.connectors import (
    ClaimedConnector,
    ConnectorClaim,
    ConnectorRow,
    StoredBreaker,
    WorkerShare,
)
from storage.ports.background.jobs import MAX_ERROR, Values
from storage.postgres.background.jobs import as_json, values
from storage.postgres.pool import Database
from storage.postgres.rows import storable
from storage.postgres.statements import sql


class PostgresConnectorStore:
    """`storage.ports.background.connectors.ConnectorStore` over one :class:`Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sql("connectors")

    async def put(
        self, name: str, kind: str, *, args: Values, paused: bool = False, who: str = ""
    ) -> None:
        text = as_json(args, "the arguments")
        await self._database.fetch(self._sql["put"], name, kind, text, paused, who, writing=True)

    async def remove(self, name: str) -> bool:
        return bool(await self._database.fetch(self._sql["remove"], name, writing=True))

    async def claim(
        self, owner: str, kinds: Sequence[str], *, limit: int, lease_s: float
    ) -> list[ClaimedConnector]:
        arguments = (owner, [*kinds], limit, lease_s)
        rows = await self._database.fetch(self._sql["claim"], *arguments, writing=True)
        return [
            ClaimedConnector(
                ConnectorClaim(row["name"], row["generation"]),
                row["kind"],
                values(row["args"]),
                values(row["state"]),
                row["failures"],
            )
            for row in rows
        ]

    async def renew(self, claims: Sequence[ConnectorClaim], *, lease_s: float) -> set[str]:
        names, generations = [c.name for c in claims], [c.generation for c in claims]
        arguments = (names, generations, lease_s)
        rows = await self._database.fetch(self._sql["renew"], *arguments, writing=True)
        return {row[0] for row in rows}

    async def note(self, claim: ConnectorClaim, state: Values) -> bool:
        arguments = (claim.name, claim.generation, as_json(state, "the state"))
        return bool(await self._database.fetch(self._sql["note"], *arguments, writing=True))

    async def release(
        self, claim: ConnectorClaim, *, after_s: float = 0.0, error: str = ""
    ) -> bool:
        arguments = (claim.name, claim.generation, after_s, storable(error)[:MAX_ERROR])
        return bool(await self._database.fetch(self._sql["release"], *arguments, writing=True))

    async def all(self) -> list[ConnectorRow]:
        return [
            ConnectorRow(
                row["name"],
                row["kind"],
                values(row["args"]),
                row["paused"],
                row["owner"],
                row["generation"],
                0 if row["lease_until"] is None else to_us(row["lease_until"]),
                to_us(row["retry_at"]),
                row["failures"],
                values(row["state"]),
                row["error"],
                row["who"],
            )
            for row in await self._database.fetch(self._sql["all"])
        ]

    async def beat(self, worker: str, *, seen_s: float) -> WorkerShare:
        rows = await self._database.fetch(self._sql["beat"], worker, seen_s, writing=True)
        return WorkerShare(rows[0]["workers"], rows[0]["connectors"])

    async def leave(self, worker: str) -> None:
        await self._database.fetch(self._sql["leave"], worker, writing=True)


class PostgresBreakerStore:
    """`storage.ports.background.connectors.BreakerStore` over one :class:`Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sql("connectors")

    async def get(self, name: str) -> StoredBreaker | None:
        rows = await self._database.fetch(self._sql["breaker"], name)
        return StoredBreaker(name, rows[0]["body"], rows[0]["version"]) if rows else None

    async def swap(self, name: str, body: str, *, version: int) -> int | None:
        what = "swap_breaker" if version else "first_breaker"
        arguments = (name, body, version) if version else (name, body)
        found = await self._database.fetch_value(self._sql[what], *arguments, writing=True)
        return None if found is None else int(found)

    async def all(self) -> list[StoredBreaker]:
        rows = await self._database.fetch(self._sql["breakers"])
        return [StoredBreaker(row["name"], row["body"], row["version"]) for row in rows]
