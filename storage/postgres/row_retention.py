"""Retention of what goes row by row: dead letters, and edge sessions that are over. A bounded
number in each statement."""

import msgspec

from actors.core.settings import DeadLettersSettings, SessionsSettings
from storage.postgres.people.holds import deleting
from storage.postgres.pool import Database
from storage.postgres.statements import sql

LETTERS = 1_000  # deleted by one statement
CAMERAS = 100  # whose sessions are looked at by one statement
MIB = 1_048_576


class Forgotten(msgspec.Struct, frozen=True):
    """How many rows went in one round: letters for their age, letters for their size, sessions."""

    old_letters: int
    large_letters: int
    sessions: int


async def forget(
    database: Database, letters: DeadLettersSettings, sessions: SessionsSettings
) -> Forgotten:
    """Delete what is beyond the settings. Raises Unavailable; what went until then is gone."""
    statements = sql("row_retention")
    old = (
        await _all(database, statements["old_letters"], float(letters.keep_days))
        if letters.keep_days
        else 0
    )
    last = await database.fetch_value(statements["letters_beyond"], letters.keep_mb * MIB)
    large = await _all(database, statements["letters_up_to"], last) if last is not None else 0
    gone, after = 0, ""
    while cameras := [
        row[0] for row in await database.fetch(statements["cameras_after"], after, CAMERAS)
    ]:
        after = cameras[-1]
        arguments = (cameras, float(sessions.keep_days), sessions.keep_per_camera)
        gone += len(await database.fetch(statements["old_sessions"], *arguments, writing=True))
    return Forgotten(old, large, gone)


async def _all(database: Database, statement: str, bound: float) -> int:
    """Repeat a deletion of at most `LETTERS` rows until it finds fewer."""
    gone = 0
    while True:
        async with deleting(database) as (connection, _held):
            found = len(await connection.fetch(statement, bound, LETTERS))
        gone += found
        if found < LETTERS:
            return gone
