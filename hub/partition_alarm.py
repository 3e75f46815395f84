"""Looks whether events pile up outside their days' partitions, and whether an old transaction keeps
dead rows alive; and says so.

Each is a metric, a note of readiness, and an error in the log.
"""

import logging

from actors.core.errors import EyrieError
from storage.ports.events import EventStore

EVERY_S = 60.0
OLD_SNAPSHOT_S = 300.0  # seconds; our own transactions end after 30, retention's after 600

log = logging.getLogger(__name__)


class PartitionAlarm:
    """`rows`: events in the default partition when it was last looked at (counted up to 1000).

    `snapshot_s`: the age of the oldest transaction of the database, seconds.
    """

    def __init__(self, events: EventStore) -> None:
        self._events = events
        self._due = 0.0
        self.rows = 0
        self.snapshot_s = 0.0

    async def check(self, now: float) -> None:
        """Look, at most every `EVERY_S`. `now` is monotonic seconds. What was known stays while
        PostgreSQL is away."""
        if now < self._due:
            return
        self._due = now + EVERY_S
        try:
            rows = await self._events.homeless()
            snapshot_s = await self._events.oldest_snapshot_s()
        except EyrieError as error:
            log.info("the tables of events cannot be looked at: %s", error)
            return
        if rows and not self.rows:
            log.error("%s", told(rows))
        if snapshot_s > OLD_SNAPSHOT_S >= self.snapshot_s:
            log.error("%s", told_old(snapshot_s))
        self.rows, self.snapshot_s = rows, snapshot_s

    def note(self) -> str | None:
        """The note of readiness."""
        return "; ".join(self.notes()) or None

    def notes(self) -> list[str]:
        """What is wrong, a sentence each."""
        notes = [told(self.rows)] if self.rows else []
        return [*notes, told_old(self.snapshot_s)] if self.snapshot_s > OLD_SNAPSHOT_S else notes


def told(rows: int) -> str:
    """What people read."""
    return (
        f"{rows}{' or more' if rows >= 1000 else ''} events lie in the default partition: a "
        "clock is days off, or no partitions are made"
    )


def told_old(snapshot_s: float) -> str:
    """What people read."""
    return (
        f"a transaction in PostgreSQL is {snapshot_s:.0f} s old: while it lives, the rows of "
        "cameras grow and commits become slow"
    )
