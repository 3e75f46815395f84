"""What this hub is subscribed to in Redis: only what its clients watch. Nothing is dropped at once,
so a reload costs no resubscription."""

import asyncio
import logging
from collections.abc import Iterable, Sequence

from actors.core.errors import EyrieError
from storage.ports.live import Broker

log = logging.getLogger(__name__)

LINGER_S = 10.0  # how long an interest outlives its last client


class Interest:
    """The watched sites and (site, camera) pairs."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._sites: set[str] = set()
        self._cameras: set[tuple[str, str]] = set()
        self._lock = asyncio.Lock()

    def watches(self, site: str) -> bool:
        """Whether a site is watched."""
        return site in self._sites

    @property
    def counts(self) -> tuple[int, int]:
        """(sites, cameras) watched."""
        return len(self._sites), len(self._cameras)

    async def sites(self, sites: Sequence[str]) -> None:
        """Watch these sites. Raises Unavailable when Redis does not confirm in time."""
        if all(site in self._sites for site in sites):
            return
        async with self._lock:
            fresh = [site for site in sites if site not in self._sites]
            if fresh:
                await self._broker.watch(fresh, [])
                self._sites.update(fresh)

    async def camera(self, site: str, camera: str) -> None:
        """Watch the states of one camera. Raises Unavailable."""
        if (site, camera) in self._cameras:
            return
        async with self._lock:
            if (site, camera) not in self._cameras:
                await self._broker.watch([], [(site, camera)])
                self._cameras.add((site, camera))

    async def operations(self) -> None:
        """Watch the cluster's operations, for as long as this hub lives: few messages, and none
        without a change. Raises Unavailable."""
        await self._broker.watch_operations()

    async def keep(self, sites: Iterable[str], cameras: Iterable[tuple[str, str]]) -> list[str]:
        """Give up everything else; the sites given up."""
        async with self._lock:
            idle_sites = sorted(self._sites - set(sites))
            idle_cameras = sorted(self._cameras - set(cameras))
            if not idle_sites and not idle_cameras:
                return []
            self._sites.difference_update(
                idle_sites
            )  # first: who wants one again meanwhile must wait and watch it anew
            self._cameras.difference_update(idle_cameras)
            try:
                await self._broker.unwatch(idle_sites, idle_cameras)
            except EyrieError as error:
                log.info("interest cannot be given up now, what comes is ignored: %s", error)
            return idle_sites
