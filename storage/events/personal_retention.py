"""Personal values go with the days that retention drops: first their keys, which reaches every copy
of the database, then their rows."""

import logging
from collections.abc import Sequence
from datetime import datetime

import msgspec

from storage.ports.keyring import Keyring
from storage.postgres.people.holds import deleting
from storage.postgres.people.letters import CLASS as LETTERS
from storage.postgres.pool import Database
from storage.postgres.statements import sql

log = logging.getLogger("eyrie.storage.personal")

BATCH = 5_000  # rows deleted by one statement
KEYS = 50  # destroyed while no hold can be placed


class ErasedDays(msgspec.Struct, frozen=True):
    """How many keys and rows went."""

    keys: int
    rows: int


async def erase_old(database: Database, keyring: Keyring, before: datetime) -> ErasedDays:
    """Erase what was received before the UTC day that `before` begins, and is not held. Again is
    harmless. Raises Unavailable; what went until then is gone."""
    day = f"{before:%Y%m%d}"
    old = [name for name in await keyring.ids() if name[:8] < day and f"/{LETTERS}/" not in name]
    keys: list[str] = []
    for start in range(0, len(old), KEYS):
        async with deleting(database) as (_connection, held):
            part = [name for name in old[start : start + KEYS] if not held.key(name)]
            keys += await keyring.destroy(part)
    rows = 0
    while True:
        async with deleting(database) as (connection, _held):
            gone = await connection.fetch(sql("personal")["delete_old"], before, BATCH)
        rows += len(gone)
        if len(gone) < BATCH:
            break
    if keys or rows:
        log.info("erased %d keys and %d personal values from before %s", len(keys), rows, day)
    return ErasedDays(len(keys), rows)


async def erase_keys(database: Database, keyring: Keyring, names: Sequence[str]) -> ErasedDays:
    """Erase the values under these keys that are not held, and then the keys, of days that nothing
    is received on any more: at most `KEYS`. Again is harmless, and counts the keys again. Raises
    Unavailable; what went until then is gone."""
    rows = 0
    while True:
        async with deleting(database) as (connection, held):
            part = [name for name in names if not held.key(name)]
            gone = await connection.fetch(sql("personal")["delete_of_keys"], part, BATCH)
        rows += len(gone)
        if len(gone) < BATCH:
            break
    async with deleting(database) as (_connection, held):
        part = [name for name in names if not held.key(name)]
        await keyring.destroy(part)
    return ErasedDays(len(part), rows)
