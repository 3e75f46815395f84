"""Sinks in PostgreSQL: `storage.ports.background.sinks.SinkStore`, but for the reading of events
(`storage.events.sinks`)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from actors.core.times import from_us, to_us
from storage.ports.background.connectors import ConnectorClaim
from storage.ports.background.jobs import MAX_ERROR
from storage.ports.background.sinks import (
    KEPT_ATTEMPTS,
    KEPT_DAYS,
    MAX_DETAIL,
    Attempt,
    Cursor,
    CursorMove,
    CursorRow,
    DueCamera,
    Failure,
    SinkHole,
    SinkLag,
    SinkReplay,
    SinkRow,
    SinkState,
    connector_of,
)
from storage.ports.policy import Audit
from storage.postgres.background.jobs import as_json, values
from storage.postgres.pool import Database
from storage.postgres.rows import storable
from storage.postgres.statements import sql


class PostgresSinks:
    """All but `read`, over one :class:`Database`. `statements` in place of ``sql/sinks.sql``, for
    tests that take something away."""

    def __init__(self, database: Database, statements: Mapping[str, str] | None = None) -> None:
        self._database = database
        self._sql = statements or sql("sinks")
        self._connectors = sql("connectors")

    async def make(
        self, sink: SinkRow, *, from_now: bool, paused: bool = False, audit: Audit | None = None
    ) -> bool:
        spec, connector = as_json(sink.spec, "the sink"), connector_of(sink.name)
        state = "paused" if paused else "active"
        async with self._database.transaction(writing=True) as connection:
            made = (sink.name, sink.kind, spec, sink.secrets, sink.who, state)
            if not await connection.fetch(self._sql["make"], *made):
                return False
            if from_now:
                await connection.execute(self._sql["begin_now"], sink.name)
            args = as_json({"sink": sink.name}, "the arguments")
            kind = f"sink.{sink.kind}"
            await connection.execute(
                self._connectors["put"], connector, kind, args, paused, sink.who
            )
            if audit is not None:
                await audit(connection)
        return True

    async def get(self, name: str) -> SinkRow | None:
        rows = await self._database.fetch(self._sql["get"], name)
        return _sink(rows[0]) if rows else None

    async def all(self) -> list[SinkRow]:
        return [_sink(row) for row in await self._database.fetch(self._sql["all"])]

    async def remove(self, name: str, *, audit: Audit | None = None) -> bool:
        async with self._database.transaction(writing=True) as connection:
            if not await connection.fetch(self._sql["remove"], name):
                return False
            await connection.execute(self._connectors["remove"], connector_of(name))
            if audit is not None:
                await audit(connection)
        return True

    async def set_state(
        self, name: str, state: SinkState, reason: str = "", *, audit: Audit | None = None
    ) -> bool:
        async with self._database.transaction(writing=True) as connection:
            if not await connection.fetch(self._sql["set_state"], name, state, storable(reason)):
                return False
            paused = state != "active"
            await connection.execute(self._sql["pause_connector"], connector_of(name), paused)
            if audit is not None:
                await audit(connection)
        return True

    async def set_secrets(self, name: str, sealed: bytes, *, audit: Audit | None = None) -> bool:
        rows = await self._database.change(self._sql["set_secrets"], name, sealed, audit=audit)
        return bool(rows)

    async def disable(self, claim: ConnectorClaim, name: str, reason: str) -> bool:
        arguments = (claim.name, claim.generation, name, storable(reason)[:MAX_ERROR])
        return bool(await self._database.fetch(self._sql["disable"], *arguments, writing=True))

    async def adopt(self, name: str) -> None:
        await self._database.fetch(self._sql["adopt"], name, writing=True)

    async def due(self, name: str, *, busy: Collection[str], limit: int) -> list[DueCamera]:
        rows = await self._database.fetch(self._sql["due"], name, list(busy), limit)
        return [_due(row) for row in rows]

    async def beyond(self, name: str, place: int) -> list[DueCamera]:
        return [_due(row) for row in await self._database.fetch(self._sql["beyond"], name, place)]

    async def move(self, claim: ConnectorClaim, name: str, moves: Sequence[CursorMove]) -> set[str]:
        arrays: list[list[Any]] = [
            [one.camera for one in moves],
            [one.before.epoch for one in moves],
            [one.before.offset for one in moves],
            [one.after.epoch for one in moves],
            [one.after.offset for one in moves],
            [one.after.sent for one in moves],
            [from_us(us) if (us := one.after.received_us) else None for one in moves],
            [one.after.place for one in moves],
        ]
        return await self._fenced("move", claim, name, arrays)

    async def fail(self, claim: ConnectorClaim, name: str, failures: Sequence[Failure]) -> set[str]:
        arrays: list[list[Any]] = [
            [one.camera for one in failures],
            [one.before.epoch for one in failures],
            [one.before.offset for one in failures],
            [storable(one.error)[:MAX_ERROR] for one in failures],
            [one.after_s for one in failures],
            [one.parked for one in failures],
        ]
        return await self._fenced("fail", claim, name, arrays)

    async def lose(self, claim: ConnectorClaim, name: str, holes: Sequence[SinkHole]) -> None:
        arrays: list[list[Any]] = [
            [one.camera for one in holes],
            [one.epoch for one in holes],
            [one.first for one in holes],
            [one.last for one in holes],
            [one.reason for one in holes],
        ]
        await self._fenced("lose", claim, name, arrays)

    async def _fenced(
        self, statement: str, claim: ConnectorClaim, name: str, arrays: list[list[Any]]
    ) -> set[str]:
        arguments = (claim.name, claim.generation, name, *arrays)
        rows = await self._database.fetch(self._sql[statement], *arguments, writing=True)
        return {row[0] for row in rows}

    async def skip(
        self, name: str, camera: str, hole: SinkHole, *, audit: Audit | None = None
    ) -> bool:
        arguments = (name, camera, hole.epoch, hole.first, storable(hole.reason), hole.who)
        return bool(await self._database.change(self._sql["skip"], *arguments, audit=audit))

    async def retry(self, name: str, camera: str, *, audit: Audit | None = None) -> bool:
        return bool(await self._database.change(self._sql["retry"], name, camera, audit=audit))

    async def holes(
        self, name: str, *, cameras: Sequence[str] | None, limit: int
    ) -> Sequence[SinkHole]:
        wanted = None if cameras is None else list(cameras)
        return [
            SinkHole(
                row["camera"],
                row["epoch"],
                row["first"],
                row["last"],
                row["kind"],
                row["reason"],
                row["error"],
                row["silent"],
                row["who"],
                to_us(row["at"]),
            )
            for row in await self._database.fetch(self._sql["holes"], name, wanted, limit)
        ]

    async def attempted(self, name: str, attempts: Sequence[Attempt]) -> None:
        arrays = [
            [one.camera for one in attempts],
            [one.event for one in attempts],
            [one.ms for one in attempts],
            [one.status for one in attempts],
            [one.outcome for one in attempts],
            [storable(one.detail)[:MAX_DETAIL] for one in attempts],
            [one.replay for one in attempts],
        ]
        await self._database.fetch(self._sql["attempted"], name, *arrays, writing=True)

    async def attempts(self, name: str, *, camera: str | None, limit: int) -> Sequence[Attempt]:
        return [
            Attempt(
                row["camera"],
                row["event"],
                row["ms"],
                row["status"],
                row["outcome"],
                row["detail"],
                row["replay"],
                to_us(row["at"]),
            )
            for row in await self._database.fetch(self._sql["attempts"], name, camera, limit)
        ]

    async def forget_attempts(self, name: str) -> None:
        arguments = (name, KEPT_ATTEMPTS, KEPT_DAYS)
        await self._database.fetch(self._sql["forget_attempts"], *arguments, writing=True)

    async def lag(self, name: str) -> SinkLag:
        (row,) = await self._database.fetch(self._sql["lag"], name)
        return SinkLag(*row)

    async def cursors(
        self, name: str, *, limit: int, camera: str | None = None
    ) -> Sequence[CursorRow]:
        return [
            CursorRow(
                row["camera"],
                row["epoch"],
                row["offset"],
                row["last_offset"],
                row["sent"],
                row["failures"],
                row["parked"],
                row["error"],
                _us(row["retry_at"]),
                to_us(row["changed"]),
            )
            for row in await self._database.fetch(self._sql["cursors"], name, limit, camera)
        ]

    async def replay(self, name: str, replay: SinkReplay, *, who: str, audit: Audit | None) -> int:
        arguments = (name, replay.camera, replay.epoch, replay.next, replay.last, who)
        rows = await self._database.change(self._sql["replay"], *arguments, audit=audit)
        return int(rows[0][0]) if rows else 0

    async def replays(
        self, name: str, *, busy: Collection[str], limit: int
    ) -> Sequence[SinkReplay]:
        return [
            SinkReplay(
                row["id"],
                row["camera"],
                row["epoch"],
                row["next"],
                row["last"],
                row["failures"],
                row["site"],
                tuple(row["tags"]),
            )
            for row in await self._database.fetch(self._sql["replays"], name, limit, list(busy))
        ]

    async def replayed(
        self, claim: ConnectorClaim, name: str, id: int, *, next: int, error: str, after_s: float
    ) -> bool:
        text = storable(error)[:MAX_ERROR]
        arguments = (claim.name, claim.generation, name, id, next, text, after_s)
        return bool(await self._database.fetch(self._sql["replayed"], *arguments, writing=True))


def _sink(row: Any) -> SinkRow:
    return SinkRow(
        row["name"],
        row["kind"],
        values(row["spec"]),
        row["state"],
        row["reason"],
        row["secrets"],
        row["who"],
        to_us(row["created"]),
        to_us(row["changed"]),
    )


def _due(row: Any) -> DueCamera:
    return DueCamera(
        row["camera"],
        row["site"],
        tuple(row["tags"]),
        Cursor(row["epoch"], row["offset"], row["sent"], _us(row["received"]), row["place"]),
        row["tip_epoch"],
        row["last_offset"],
        row["failures"],
        _us(row["since"]),
        row["begin_epoch"],
        row["begin_offset"],
    )


def _us(moment: Any) -> int:
    return 0 if moment is None else to_us(moment)
