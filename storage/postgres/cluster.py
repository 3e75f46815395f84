"""The state of the cluster in PostgreSQL: `storage.ports.cluster.ClusterStore`."""

from collections.abc import Sequence
from typing import Any

import msgspec

from actors.core.errors import Conflict
from storage.ports.cluster import (
    KEY_LIFE_S,
    MAX_TEXT,
    ClusterDecision,
    Cordon,
    Operation,
    OperationState,
    Order,
    OrderKind,
    Orders,
    RequestedOperation,
    TroubleRecord,
    WantedRecord,
    WantedShape,
)
from storage.ports.policy import Audit
from storage.postgres.pool import Database
from storage.postgres.statements import sql


class PostgresClusterStore:
    """`storage.ports.cluster.ClusterStore` over one :class:`Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sql("cluster")

    async def orders(self) -> Orders:
        async with self._database.transaction(readonly=True) as connection:
            wanted = [_wanted(row) for row in await connection.fetch(self._sql["wanted"])]
            cordons = [Cordon(**row) for row in await connection.fetch(self._sql["cordons"])]
            orders = [Order(**row) for row in await connection.fetch(self._sql["orders"])]
            troubles = [
                TroubleRecord(**row) for row in await connection.fetch(self._sql["troubles"])
            ]
        return Orders(wanted[0] if wanted else None, cordons, orders, troubles)

    async def want(
        self, wanted: WantedShape, *, expected: int, who: str, audit: Audit | None = None
    ) -> int | None:
        body = msgspec.json.encode(wanted).decode()
        if expected == 0:
            rows = await self._change("first_want", audit, body, who)
        else:
            rows = await self._change("want", audit, body, who, expected)
        return int(rows[0][0]) if rows else None

    async def cordon(self, node: str, *, reason: str, who: str, audit: Audit | None = None) -> bool:
        return bool(await self._change("cordon", audit, node, reason[:MAX_TEXT], who))

    async def uncordon(self, node: str, *, audit: Audit | None = None) -> bool:
        return bool(await self._change("uncordon", audit, node))

    async def order(
        self,
        kind: OrderKind,
        id: str,
        *,
        paused: bool | None = None,
        alone: bool | None = None,
        node: str | None = None,
        reason: str = "",
        who: str,
        audit: Audit | None = None,
    ) -> Order:
        async with self._database.transaction(writing=True) as connection:
            rows = await connection.fetch(
                self._sql["order"], kind, id, paused, alone, node, reason[:MAX_TEXT], who
            )
            await connection.execute(self._sql["drop_order"], kind, id)
            if audit is not None:
                await audit(connection)
        return Order(**rows[0])

    async def quarantine(
        self, camera: str, *, reason: str, who: str, audit: Audit | None = None
    ) -> bool:
        return bool(await self._change("quarantine", audit, camera, reason[:MAX_TEXT], who))

    async def release(self, camera: str, *, audit: Audit | None = None) -> bool:
        return bool(await self._change("release", audit, camera))

    async def note_troubles(self, troubles: Sequence[TroubleRecord]) -> None:
        columns = [
            [getattr(t, name) for t in troubles]
            for name in ("camera", "failures", "restarts", "quarantined", "alone")
        ]
        await self._database.fetch(
            self._sql["note_troubles"],
            *columns,
            [t.reason[:MAX_TEXT] for t in troubles],
            writing=True,
        )

    async def ask(
        self, operation: RequestedOperation, *, audit: Audit | None = None
    ) -> tuple[Operation, bool]:
        params = msgspec.json.encode(operation.params).decode()
        async with self._database.transaction(writing=True) as connection:
            if operation.key:
                await connection.execute(
                    self._sql["expire_keys"], operation.who, operation.key, KEY_LIFE_S
                )
            asked = await connection.fetch(
                self._sql["ask"],
                operation.id,
                operation.kind,
                operation.target,
                params,
                operation.who,
                operation.token,
                operation.key,
                operation.request,
            )
            id = operation.id
            if not asked:
                id, request = await connection.fetchrow(
                    self._sql["same_key"], operation.who, operation.key
                )
                if request != operation.request:
                    raise Conflict(
                        "this idempotency key was used for another request", hint="Use a key once."
                    )
            elif audit is not None:
                await audit(connection)
            found = _operation(await connection.fetchrow(self._sql["operation"], id))
        return found, bool(asked)

    async def remembers(self, who: str, key: str) -> bool:
        return bool(await self._database.fetch(self._sql["live_key"], who, key, KEY_LIFE_S))

    async def operation(self, id: str) -> Operation | None:
        rows = await self._database.fetch(self._sql["operation"], id)
        return _operation(rows[0]) if rows else None

    async def operations(
        self, *, before: int = 2**62, limit: int = 100, state: str = ""
    ) -> list[Operation]:
        return [
            _operation(row)
            for row in await self._database.fetch(self._sql["operations"], before, limit, state)
        ]

    async def open_operations(self, *, limit: int = 100) -> list[Operation]:
        return [
            _operation(row)
            for row in await self._database.fetch(self._sql["open_operations"], limit)
        ]

    async def begin(self, id: str, *, total: int, detail: str = "") -> bool:
        return bool(
            await self._database.fetch(
                self._sql["begin"], id, total, detail[:MAX_TEXT], writing=True
            )
        )

    async def progress(
        self,
        id: str,
        *,
        done: int,
        total: int,
        detail: str = "",
        figures: dict[str, float] | None = None,
    ) -> bool:
        values = (id, done, total, detail[:MAX_TEXT], _json(figures))
        return bool(await self._database.fetch(self._sql["progress"], *values, writing=True))

    async def finish(
        self,
        id: str,
        state: OperationState,
        *,
        detail: str = "",
        figures: dict[str, float] | None = None,
    ) -> bool:
        return bool(
            await self._database.fetch(
                self._sql["finish"], id, state, detail[:MAX_TEXT], _json(figures), writing=True
            )
        )

    async def cancel(self, id: str, *, who: str, audit: Audit | None = None) -> bool:
        return bool(
            await self._change(
                "finish", audit, id, "cancelled", f"cancelled by {who}"[:MAX_TEXT], "{}"
            )
        )

    async def decided(self, decisions: Sequence[ClusterDecision]) -> None:
        columns = [
            [getattr(decision, name)[:MAX_TEXT] for decision in decisions]
            for name in ("subject", "what", "why")
        ]
        await self._database.fetch(self._sql["decided"], *columns, writing=True)

    async def decisions(
        self, *, subject: str = "", before: int = 2**62, limit: int = 100
    ) -> list[ClusterDecision]:
        statement, arguments = ("decisions_of", [subject]) if subject else ("decisions", [])
        return [
            ClusterDecision(**row)
            for row in await self._database.fetch(self._sql[statement], before, limit, *arguments)
        ]

    async def forget(
        self, *, keep_operations: int = 10_000, keep_decisions: int = 20_000, limit: int = 1000
    ) -> int:
        operations = await self._database.fetch(
            self._sql["forget_operations"], keep_operations, limit, writing=True
        )
        decisions = await self._database.fetch(
            self._sql["forget_decisions"], keep_decisions, limit, writing=True
        )
        return len(operations) + len(decisions)

    async def _change(self, statement: str, audit: Audit | None, *arguments: Any) -> Sequence[Any]:
        """One statement and, where it changed something, its record, together or not at all."""
        async with self._database.transaction(writing=True) as connection:
            rows: Sequence[Any] = await connection.fetch(self._sql[statement], *arguments)
            if rows and audit is not None:
                await audit(connection)
        return rows


def _json(figures: dict[str, float] | None) -> str:
    return msgspec.json.encode(figures or {}).decode()


def _wanted(row: Any) -> WantedRecord:
    return WantedRecord(
        row["version"],
        msgspec.json.decode(row["body"], type=WantedShape),
        row["who"],
        row["changed_us"],
    )


def _operation(row: Any) -> Operation:
    fields = dict(row)
    fields |= {
        "params": msgspec.json.decode(fields["params"]),
        "figures": msgspec.json.decode(fields["figures"], type=dict[str, float]),
    }
    return Operation(**fields)
