"""Where a consumer is, kept in the caller's own PostgreSQL: it moves in the transaction of the
effect, so an effect is there once or not at all, whatever dies between.

Over a connection of asyncpg, or whatever has its `execute`, `fetchrow` and `transaction`.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Protocol

from consume.errors import Displaced
from consume.judging import Mark, Message, StreamHole

MAX_REASON = 500  # characters kept of an error

SCHEMA = """
CREATE TABLE IF NOT EXISTS eyrie_consumers (
    name text PRIMARY KEY, place bigint NOT NULL DEFAULT 0, id text NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS eyrie_consumer_marks (
    name text NOT NULL REFERENCES eyrie_consumers ON DELETE CASCADE, camera text NOT NULL,
    id text NOT NULL, epoch text NOT NULL, "offset" bigint NOT NULL, PRIMARY KEY (name, camera)
);
CREATE TABLE IF NOT EXISTS eyrie_consumer_dead_letters (
    name text NOT NULL REFERENCES eyrie_consumers ON DELETE CASCADE, id text NOT NULL,
    camera text NOT NULL, attributes text NOT NULL, data bytea NOT NULL, error text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (name, id)
);
CREATE TABLE IF NOT EXISTS eyrie_consumer_holes (
    name text NOT NULL REFERENCES eyrie_consumers ON DELETE CASCADE, camera text NOT NULL,
    after text NOT NULL, before text NOT NULL, declared boolean NOT NULL, reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (name, before)
);
"""


class Connection(Protocol):
    """What is used of a connection of asyncpg."""

    async def execute(self, query: str, *arguments: Any) -> Any: ...

    async def fetchrow(self, query: str, *arguments: Any) -> Any: ...

    def transaction(self) -> Any: ...


class Ledger:
    """Of the consumer `name`, over one connection that nobody else uses meanwhile."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name

    async def prepare(self) -> None:
        """Make its tables where they are not there, and its row."""
        async with self._connection.transaction():
            await self._connection.execute(
                "SELECT pg_advisory_xact_lock(hashtext('eyrie_consume'))"
            )
            await self._connection.execute(SCHEMA)
            await self._connection.execute(
                "INSERT INTO eyrie_consumers (name) VALUES ($1) ON CONFLICT DO NOTHING", self._name
            )

    async def position(self) -> tuple[int, str]:
        """(number, id) of the last message of the stream that was dealt with; 0: none."""
        row = await self._connection.fetchrow(
            "SELECT place, id FROM eyrie_consumers WHERE name = $1", self._name
        )
        return int(row[0]), str(row[1])

    @contextlib.asynccontextmanager
    async def turn(self, before: int) -> AsyncIterator[Connection]:
        """A transaction in which the position stands at `before` and nobody else moves it. Raises
        Displaced."""
        async with self._connection.transaction():
            row = await self._connection.fetchrow(
                "SELECT place FROM eyrie_consumers WHERE name = $1 FOR UPDATE", self._name
            )
            if row is None or int(row[0]) != before:
                raise Displaced(f"another consumer {self._name} is at work")
            yield self._connection

    async def mark(self, camera: str) -> Mark:
        """How far a camera is."""
        row = await self._connection.fetchrow(
            'SELECT id, epoch, "offset" FROM eyrie_consumer_marks WHERE name = $1 AND camera = $2',
            self._name,
            camera,
        )
        return Mark() if row is None else Mark(str(row[0]), str(row[1]), int(row[2]))

    async def advance(self, message: Message, mark: Mark | None) -> None:
        """Inside of a turn: the stream was read up to `message`, and its camera is at `mark`."""
        await self.move(message.place, message.id)
        if mark is not None:
            await self._connection.execute(
                "INSERT INTO eyrie_consumer_marks VALUES ($1, $2, $3, $4, $5)"
                " ON CONFLICT (name, camera) DO UPDATE"
                ' SET id = excluded.id, epoch = excluded.epoch, "offset" = excluded."offset"',
                self._name,
                message.camera,
                mark.id,
                mark.epoch,
                mark.offset,
            )

    async def move(self, place: int, id: str) -> None:
        """Inside of a turn: the position alone."""
        await self._connection.execute(
            "UPDATE eyrie_consumers SET place = $2, id = $3 WHERE name = $1", self._name, place, id
        )

    async def bury(self, message: Message, attributes: str, error: str) -> None:
        """Inside of a turn: a message that nothing could be done with is kept, with the reason."""
        await self._connection.execute(
            "INSERT INTO eyrie_consumer_dead_letters (name, id, camera, attributes, data, error)"
            " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            self._name,
            message.id,
            message.camera,
            attributes,
            message.data,
            error[:MAX_REASON].replace("\x00", ""),
        )

    async def note(self, hole: StreamHole) -> None:
        """Inside of a turn: that something is missing."""
        await self._connection.execute(
            "INSERT INTO eyrie_consumer_holes (name, camera, after, before, declared, reason)"
            " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            self._name,
            hole.camera,
            hole.after,
            hole.before,
            hole.declared,
            hole.reason,
        )
