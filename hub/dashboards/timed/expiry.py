"""Forgets what nobody watches any more, and keeps the fleet's watchers supplied with new sites.

Apart from the clock: what it reads may hang, and pings and staleness must not wait for that.
"""

import asyncio
import logging
import time

from actors.core.errors import EyrieError
from hub.access.registry_cache import CameraCache
from hub.dashboards.subscribe import Joins
from hub.dashboards.timed.polled_sites import Polls
from hub.fanout.broker_subscriptions import LINGER_S, Interest
from hub.fanout.feed import Feed
from hub.fanout.topics import Topic

log = logging.getLogger(__name__)

EVERY_S = 1.0


class Expiry:
    """Over what a hub knows live."""

    def __init__(
        self,
        topics: dict[str, Topic],
        feed: Feed,
        joins: Joins,
        interest: Interest,
        cameras: CameraCache,
        polls: Polls,
    ) -> None:
        self._topics = topics
        self._feed = feed
        self._joins = joins
        self._interest = interest
        self._cameras = cameras
        self._polls = polls

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.once(time.monotonic())

    async def once(self, now: float) -> None:
        """One look. `now` is monotonic, seconds; what is forgotten has been without a client for
        `LINGER_S`."""
        self._forget_idle(now)
        topics = self._topics
        sites = {topic.site for topic in topics.values() if topic.site} | self._polls.sites(now)
        if "fleet" in topics or "events:fleet" in topics:
            try:
                every = await self._cameras.sites()
                await self._joins.load_sites(every)
                sites |= set(every)
            except EyrieError as error:
                log.info("the fleet's sites cannot be read now: %s", error)
                return
        watched = {
            (topic.site, topic.channel.target)
            for topic in topics.values()
            if topic.channel.scope == "camera" and topic.channel.lane == "live"
        }
        for site in await self._interest.keep(sites, watched):
            self._feed.forget_site(site)

    def _forget_idle(self, now: float) -> None:
        for name, topic in list(self._topics.items()):
            if (
                topic.idle_since is not None
                and now - topic.idle_since > LINGER_S
                and not topic.groups
                and not topic.joining
            ):
                del self._topics[name]
                if topic.channel.scope == "camera" and topic.channel.lane == "live":
                    self._feed.live.forget_states(topic.channel.target)
