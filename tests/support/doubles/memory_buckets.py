"""`storage.ports.rate_limits.Buckets` in memory."""

import time
from collections.abc import Sequence

from actors.core.token_bucket import Bucket
from storage.ports.rate_limits import Ask, Grant
from tests.support.doubles.faults import Faults


class MemoryBuckets:
    """Shared by as many hubs as get it. `faults` has the operation ``take``; `asked` holds every
    ask."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.asked: list[Ask] = []
        self._buckets: dict[str, Bucket] = {}

    async def charge(self, asks: Sequence[Ask]) -> list[Grant]:
        self.asked += asks
        return await self.faults.run("charge", lambda: [self._one(ask) for ask in asks])

    def _one(self, ask: Ask) -> Grant:
        now = time.monotonic()
        bucket = self._buckets.setdefault(ask.name, Bucket(ask.rate, ask.burst, now))
        return Grant(bucket.draw(now, ask.want), bucket.wait_s)
