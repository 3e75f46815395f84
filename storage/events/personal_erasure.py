"""Erasing some of the values that lie under a key: they are deleted, the others go under a new key,
and the old one is destroyed, which reaches the log, replicas and backups of the database.

Every function may be carried out again, and by two processes at once: what was done is found done.
"""

import asyncio
import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from storage.ports.keyring import Key, Keyring
from storage.postgres import rows as rows_of
from storage.postgres.people.personal import opened, sealed
from storage.postgres.pool import Database
from storage.postgres.statements import sql

log = logging.getLogger("eyrie.storage.personal")

BATCH = 1_000  # values that one statement moves


class ErasedValues(msgspec.Struct, frozen=True):
    """`values` were erased, `moved` others went under new keys, `broken` could not be opened and
    went too."""

    values: int
    moved: int
    broken: int


async def erase_places(
    database: Database, keyring: Keyring, request: str, keys: Iterable[str], settle_s: float
) -> ErasedValues:
    """Delete the values at the places of `request`, and move the others from these keys to new
    ones. A key of today may be in use by a commit that is under way: `settle_s` is the longest that
    one takes, from the choice of its key on. Raises Unavailable."""
    statements = sql("privacy")
    renewed = await keyring.renew(list(keys))
    if any(_in_use(name) for name in renewed):
        await asyncio.sleep(settle_s)
    gone = await database.fetch(statements["delete_places"], request, writing=True)
    moved = broken = 0
    secrets = await keyring.find(list(renewed))
    for old, new in sorted(renewed.items()):
        secret = secrets.get(old)
        if secret is not None:
            done = await _move(database, Key(old, secret), new)
            moved, broken = moved + done[0], broken + done[1]
    return ErasedValues(len(gone), moved, broken)


def _in_use(name: str) -> bool:
    """Whether something may still be received on the day of this key."""
    day = datetime.strptime(name[:8], "%Y%m%d").replace(tzinfo=UTC)
    return datetime.now(UTC) < day + timedelta(days=1, hours=1)


async def _move(database: Database, old: Key, new: Key) -> tuple[int, int]:
    statements = sql("privacy")
    moved = broken = 0
    while rows := await database.fetch(statements["of_key"], old.id, BATCH):
        found = [(row, _moved(row, old, new)) for row in rows]
        good = [(*_place(row), text) for row, text in found if text is not None]
        await database.fetch(
            statements["move"], old.id, new.id, *rows_of.columns(good, 6), writing=True
        )
        bad = [_place(row) for row, text in found if text is None]
        if bad:
            log.error("%d personal values under %s are not genuine, and go", len(bad), old.id)
            await database.fetch(
                statements["delete_broken"], old.id, *rows_of.columns(bad, 5), writing=True
            )
        moved, broken = moved + len(good), broken + len(bad)
    return moved, broken


def _place(row: Any) -> tuple[Any, ...]:
    return row["camera"], row["epoch"], row["offset"], row["path"], row["received"]


def _moved(row: Any, old: Key, new: Key) -> bytes | None:
    place = (row["camera"], row["epoch"], row["offset"])
    value = opened(place, row["path"], row["class"], old, row["sealed"])
    return None if value is None else sealed(place, value, new)
