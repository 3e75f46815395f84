"""Which actor processes are silent, by how long their heartbeat in PostgreSQL has not moved as seen
from here (pure).

Marks of one process are compared with each other alone, and time is the looker's monotonic clock: a
database whose clock is set makes nobody silent, and hides nobody's silence.
"""

from collections.abc import Iterable

from storage.ports.processes import ActorRecord


class Beats:
    """What was seen of each process; bounded by the records of the last look."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}

    def silent_s(self, records: Iterable[ActorRecord], now: float) -> dict[str, float]:
        """Seconds that each process has been silent for, at least; 0 for one that is new. `now`:
        monotonic seconds."""
        seen: dict[str, tuple[tuple[int, int], float]] = {}
        for record in records:
            mark = (record.started_us, record.beat_us)
            before = self._seen.get(record.name)
            seen[record.name] = before if before is not None and before[0] == mark else (mark, now)
        self._seen = seen
        return {name: now - since for name, (_mark, since) in seen.items()}

    def forget(self) -> None:
        """Nobody could renew for a while: all have their time from the next look on."""
        self._seen.clear()
