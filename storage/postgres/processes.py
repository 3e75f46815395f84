"""Heartbeats of actor processes, hubs and the cluster API in PostgreSQL:
`storage.ports.processes.ActorStore`, `HubStore`, `ApiStore`."""

from actors.core.times import to_us
from storage.ports.processes import ActorRecord, ApiRecord, HubRecord
from storage.postgres.pool import Database
from storage.postgres.statements import sql


class PostgresActorStore:
    """`storage.ports.processes.ActorStore` over one :class:`Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sql("fleet")

    async def put(self, record: ActorRecord) -> None:
        values = (record.name, record.node, record.pid, record.state, record.reason)
        await self._database.fetch(self._sql["put_actor"], *values, writing=True)

    async def beat(self, name: str) -> bool:
        return bool(await self._database.fetch(self._sql["beat_actor"], name, writing=True))

    async def all(self) -> list[ActorRecord]:
        return [
            ActorRecord(
                row["name"],
                row["node"],
                row["pid"],
                row["state"],
                row["reason"],
                to_us(row["started"]),
                row["age_s"],
                to_us(row["heartbeat"]),
            )
            for row in await self._database.fetch(self._sql["all_actors"])
        ]

    async def remove(self, name: str) -> None:
        await self._database.fetch(self._sql["remove_actor"], name, writing=True)


class PostgresHubStore:
    """`storage.ports.processes.HubStore` over one :class:`Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sql("fleet")

    async def put(self, record: HubRecord) -> None:
        values = (record.name, record.host, record.port, record.private_port, record.pid)
        await self._database.fetch(self._sql["put_hub"], *values, writing=True)

    async def all(self) -> list[HubRecord]:
        return [
            HubRecord(
                row["name"],
                row["host"],
                row["port"],
                row["private_port"],
                row["pid"],
                to_us(row["started"]),
                row["age_s"],
            )
            for row in await self._database.fetch(self._sql["all_hubs"])
        ]

    async def remove(self, name: str) -> None:
        await self._database.fetch(self._sql["remove_hub"], name, writing=True)


class PostgresApiStore:
    """`storage.ports.processes.ApiStore` over one :class:`Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sql("fleet")

    async def put(self, record: ApiRecord) -> None:
        await self._database.fetch(
            self._sql["put_api"], record.host, record.port, record.pid, writing=True
        )

    async def find(self) -> ApiRecord | None:
        rows = await self._database.fetch(self._sql["find_api"])
        return ApiRecord(**rows[0]) if rows else None
