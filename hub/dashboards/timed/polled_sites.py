"""Reads of those who poll by REST are never stale in silence: a polled site is watched as if
somebody subscribed to it.

The first read of a site waits until its actors have been heard (they tell of their cameras once a
second); who stays silent is shown as stale. From then on the site stays watched between polls, and
a read waits for nothing.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from hub.dashboards.subscribe import Joins
from hub.fanout.live_states import LiveStates

KEPT_S = 60.0  # how long a site stays watched after its last read
HEARD_WITHIN_S = 2.5  # for the first heartbeats, of which one is due every second
LOOK_S = 0.02  # between two looks whether they have come


class Polls:
    """Which sites are polled. Bounded by the sites there are. Times are monotonic seconds."""

    def __init__(
        self, joins: Joins, live: LiveStates, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._joins = joins
        self._live = live
        self._now = now
        self._read: dict[str, float] = {}
        self._known: set[str] = set()

    async def settle(self, sites: Sequence[str]) -> None:
        """Have what is needed to tell the living cameras of these sites from the lost ones. Raises
        Unavailable without Redis."""
        now = self._now()
        self._read.update(dict.fromkeys(sites, now))
        await self._joins.load_sites(list(sites))
        waiting = [site for site in sites if site not in self._known]
        while (
            waiting
            and self._now() - now < HEARD_WITHIN_S
            and any(self._live.unheard(site) for site in waiting)
        ):
            await asyncio.sleep(LOOK_S)
        self._known.update(waiting)

    def sites(self, now: float) -> set[str]:
        """The sites to keep watching; the others are forgotten."""
        self._read = {site: read for site, read in self._read.items() if now - read < KEPT_S}
        self._known.intersection_update(self._read)
        return set(self._read)
