"""Knows a restored database by itself, and gives its cameras new epochs (design section 6).

After a restore the numbering of events would go on from an older offset, and an event id that was
shown once would mean another event. So the database notes where it is: PostgreSQL's system
identifier and timeline, the object id of the database, the file of the table `positions`, and when
the file ``PG_VERSION`` came into the data directory. A dump that is read back, a base backup, a
promoted replica and a copied data directory each change one of these. Every new connection compares
before it is used, so that nothing is committed before the epochs are new, and a database that is
restored below a running platform is met when the platform connects again.

Not seen: a snapshot of the whole disk that is put back (nothing in it differs). There `eyrie epoch
renew` does it by hand.
"""

import logging
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from storage.ports.epochs import new_epoch
from storage.postgres.statements import sql

log = logging.getLogger("eyrie.storage.place")

_SQL = sql("place")


class _Place(NamedTuple):
    place: str
    stamp: datetime | None

    def same(self, known: "_Place") -> bool:
        """A stamp that one role may read and another may not says nothing."""
        return self.place == known.place and (
            self.stamp is None or known.stamp is None or self.stamp == known.stamp
        )


async def check_place(connection: Any) -> None:
    """Renew all epochs when this database was restored since it was looked at last. Before the
    first migration it does nothing."""
    try:
        row = await connection.fetchrow(_SQL["known"])
    except asyncpg.UndefinedTableError:
        return
    if row["replica"]:
        return
    here = _Place(
        row["here"], await connection.fetchval(_SQL["stamp"]) if row["may_stat"] else None
    )
    known = None if row["place"] is None else _Place(row["place"], row["stamp"])
    if known is None or not here.same(known) or (here.stamp is not None and known.stamp is None):
        await _note(connection, here)


async def _note(connection: Any, here: _Place) -> None:
    """One process renews; those that come at the same time wait for its lock and find the place
    noted."""
    async with connection.transaction():
        await connection.execute(
            "SET LOCAL lock_timeout = 0"
        )  # the statement's own timeout bounds the wait
        await connection.execute(_SQL["lock"])
        row = await connection.fetchrow(_SQL["known"])
        known = None if row["place"] is None else _Place(row["place"], row["stamp"])
        if known is None or not here.same(known):
            cameras = await renew_epochs(connection)
            level = logging.WARNING if cameras else logging.DEBUG
            log.log(
                level,
                "%s: the events of %d cameras start a new epoch",
                _why(here, known),
                len(cameras),
            )
        await connection.execute(_SQL["note"], here.place, here.stamp)


def _why(here: _Place, known: _Place | None) -> str:
    if known is None:
        return "the database notes from now on where it is"
    return (
        f"the database was restored or moved (it was {known.place} of {known.stamp}, it is "
        f"{here.place} of {here.stamp})"
    )


async def renew_epochs(connection: Any, cameras: list[str] | None = None) -> list[str]:
    """Start a new epoch for `cameras`, or for all there are; the names of those that got one. Who
    commits now finds its row moved."""
    return [row["camera"] for row in await connection.fetch(_SQL["renew"], new_epoch(), cameras)]
