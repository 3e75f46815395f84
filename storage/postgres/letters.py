"""Erasing dead letters: what was refused is known to nobody, so of cameras and a time all goes but
that there was a letter."""

from storage.ports.privacy import Scope
from storage.postgres.pool import Database
from storage.postgres.statements import sql

BATCH = 1_000  # letters emptied by one statement


async def erase_letters(database: Database, scope: Scope) -> int:
    """Empty those of `scope`; how many. Again is harmless. Raises Unavailable."""
    emptied = 0
    while True:
        rows = await database.fetch(
            sql("dead_letters")["empty"],
            list(scope.cameras),
            scope.since_us,
            scope.until_us,
            BATCH,
            writing=True,
        )
        emptied += len(rows)
        if len(rows) < BATCH:
            return emptied
