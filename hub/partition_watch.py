"""Looks whether events pile up outside their days' partitions, and says so: a metric, a note of readiness, an error in the log."""

import logging

from actors.core.errors import EyrieError
from storage.ports import EventStore

EVERY_S = 60.0

log = logging.getLogger(__name__)


class PartitionWatch:
    """`rows`: events in the default partition when it was last looked at (counted up to 1000)."""

    def __init__(self, events: EventStore) -> None:
        self._events = events
        self._due = 0.0
        self.rows = 0

    async def look(self, now: float) -> None:
        """Look, at most every `EVERY_S`. `now` is monotonic seconds. What was known stays while PostgreSQL is away."""
        if now < self._due:
            return
        self._due = now + EVERY_S
        try:
            rows = await self._events.homeless()
        except EyrieError as error:
            log.info("the default partition of events cannot be looked at: %s", error)
            return
        if rows and not self.rows:
            log.error("%s", told(rows))
        self.rows = rows

    def note(self) -> str | None:
        """The note of readiness."""
        return told(self.rows) if self.rows else None


def told(rows: int) -> str:
    """What people read."""
    return f"{rows}{' or more' if rows >= 1000 else ''} events lie in the default partition: a clock is days off, or no partitions are made"
