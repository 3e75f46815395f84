"""Forgets what nobody watches any more, and keeps the fleet's watchers supplied with new sites."""

import logging

from actors.core.errors import EyrieError
from hub.access.registry_cache import CameraCache
from hub.dashboards.polled_sites import Polls
from hub.dashboards.subscribe import Joins
from hub.fanout.broker_subscriptions import LINGER_S, Interest
from hub.fanout.feed import Feed
from hub.fanout.topics import Topic

log = logging.getLogger(__name__)


async def tidy(
    topics: dict[str, Topic],
    feed: Feed,
    joins: Joins,
    interest: Interest,
    cameras: CameraCache,
    polls: Polls,
    now: float,
) -> None:
    """One look. `now` is monotonic, seconds; what is forgotten has been without a client for
    `LINGER_S`."""
    for name, topic in list(topics.items()):
        if (
            topic.idle_since is not None
            and now - topic.idle_since > LINGER_S
            and not topic.groups
            and not topic.joining
        ):
            del topics[name]
            if topic.channel.scope == "camera" and topic.channel.lane == "live":
                feed.live.forget_states(topic.channel.target)
    sites = {topic.site for topic in topics.values() if topic.site} | polls.sites(now)
    if "fleet" in topics or "events:fleet" in topics:
        try:
            every = await cameras.sites()
            await joins.load_sites(every)
            sites |= set(every)
        except EyrieError as error:
            log.info("the fleet's sites cannot be read now: %s", error)
            return
    watched = {
        (topic.site, topic.channel.target)
        for topic in topics.values()
        if topic.channel.scope == "camera" and topic.channel.lane == "live"
    }
    for site in await interest.keep(sites, watched):
        feed.forget_site(site)
