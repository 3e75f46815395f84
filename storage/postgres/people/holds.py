"""Holds while something is deleted: who deletes waits for who places a hold, and sees it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from storage.postgres.pool import Database
from storage.postgres.statements import sql


class Held(msgspec.Struct, frozen=True):
    """What is held: (cameras, from, to) of each hold in force."""

    spans: Sequence[tuple[frozenset[str], datetime, datetime]]

    def key(self, name: str) -> bool:
        """Whether a hold reaches into the camera and UTC day of a key."""
        day, _, camera, *_ = name.split("/")
        return any(camera in cameras for cameras in self._reaching(_day(day)))

    def day(self, start: datetime) -> bool:
        """Whether one reaches into this UTC day, of whatever camera."""
        return bool(self._reaching(start))

    def _reaching(self, start: datetime) -> list[frozenset[str]]:
        end = start + timedelta(days=1)
        return [cameras for cameras, since, until in self.spans if since < end and until > start]


def _day(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC)


async def lock(connection: Any) -> Held:
    """Within a transaction: from now to its end no hold is placed; those that are."""
    await connection.execute(sql("privacy")["lock"])
    rows = await connection.fetch(sql("privacy")["in_force"])
    return Held([(frozenset(row["cameras"]), row["since"], row["until"]) for row in rows])


@asynccontextmanager
async def deleting(database: Database) -> AsyncIterator[tuple[Any, Held]]:
    """A transaction that deletes, and what it must leave."""
    async with database.transaction(writing=True) as connection:
        yield connection, await lock(connection)
