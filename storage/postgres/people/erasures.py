"""What an erasure changes in PostgreSQL beside the values: its own state, and what holds say of
it."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from storage.ports.policy import Audit
from storage.postgres.pool import Database
from storage.postgres.statements import sql


class Chain(msgspec.Struct, frozen=True):
    """The end of a camera's chain of events; `hash` in hex."""

    camera: str
    epoch: str
    offset: int
    hash: str


def beginning(request: str) -> Audit:
    """Begin an approved erasure, or say that a hold is in its way: at one moment, under the lock
    that holds are placed under. Of one that is under way, or was ended, nothing changes."""

    async def begin(connection: Any) -> None:
        statements = sql("privacy")
        await connection.execute(statements["lock"])
        if await connection.fetchval(statements["state"], request) != "approved":
            return
        hold = await connection.fetchval(statements["held"], request)
        if hold is not None:
            await connection.execute(statements["hold_up"], request, f"hold {hold}")
            return
        await connection.execute(statements["find_places"], request)
        await connection.execute(statements["begin"], request)

    return begin


def noting(request: str, steps: Mapping[str, Any]) -> Audit:
    """Keep what the steps of an erasure did."""

    async def note(connection: Any) -> None:
        text = msgspec.json.encode(steps).decode()
        await connection.execute(sql("privacy")["note_step"], request, text)

    return note


def ending(request: str, receipt: str, audit: Callable[[], Audit]) -> Audit:
    """It is done; `audit` is written the first time."""

    async def end(connection: Any) -> None:
        if await connection.fetchval(sql("privacy")["finish"], request, receipt):
            await audit()(connection)

    return end


async def chains(database: Database, cameras: list[str]) -> list[Chain]:
    """Where the chains of cameras end now."""
    return [
        Chain(row["camera"], row["epoch"], row["last_offset"], bytes(row["chain"]).hex())
        for row in await database.fetch(sql("privacy")["chains"], cameras)
    ]


async def homes(database: Database, cameras: list[str]) -> dict[str, str]:
    """Camera → site, deleted cameras too."""
    rows = await database.fetch(sql("privacy")["sites"], cameras)
    return {row["camera"]: row["site"] for row in rows}
