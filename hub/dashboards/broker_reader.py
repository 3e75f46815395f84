"""The reader of the broker: one task that takes in whatever Redis delivers to this hub."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from actors.core.errors import EyrieError
from hub.fanout.feed import Feed
from hub.fanout.latency import Latencies
from storage.ports.live import Broker

log = logging.getLogger(__name__)

RETRY_S = 0.5
BURST = 64  # publications taken in one turn of the loop
LANES = {"state": "live", "event": "events"}  # those whose latency is sampled


class BrokerReader:
    """`own` gets what was sent to this hub alone; `spawn` runs what a notice makes necessary."""

    def __init__(
        self,
        broker: Broker,
        feed: Feed,
        own: Callable[[bytes], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
    ) -> None:
        self.heard = True  # it was opened; a notice says when it is lost
        self.latencies = Latencies()
        self._broker = broker
        self._feed = feed
        self._own = own
        self._spawn = spawn

    async def run(self) -> None:
        """Read until cancelled; Redis may come and go."""
        while True:
            try:
                await self._read()
            except EyrieError as error:
                log.warning("Redis cannot be read: %s", error)
            self._notice(b"lost")
            await asyncio.sleep(RETRY_S)

    async def _read(self) -> None:
        taken = 0
        async for publication in self._broker.run():
            taken += 1
            if taken % BURST == 0:
                # a full queue yields by itself never: let what is due be written
                await asyncio.sleep(0)
            self.heard = True
            if publication.kind == "notice":
                self._notice(publication.body)
                continue
            self._feed.live.redis_lost = False
            if publication.kind == "canary":
                self._own(publication.body)
                continue
            if publication.kind in LANES:
                self.latencies.sample(LANES[publication.kind], publication.body, time.time())
            self._feed.receive(publication)

    def _notice(self, body: bytes) -> None:
        log.info("broker: %s", body.decode(errors="replace"))
        self.heard = body != b"lost"
        if not self.heard:
            self._feed.live.redis_lost = True
        else:
            self._spawn(self._feed.compare(), "comparison after a notice")
