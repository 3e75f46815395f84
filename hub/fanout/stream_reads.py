"""Reading the events of a channel: a site's from Redis, a camera's from PostgreSQL where Redis does
not reach back."""

from hub.fanout.feed import Feed
from hub.fanout.recovery import Item
from hub.protocol.channels import Channel
from storage.ports.events import EventStore
from storage.ports.live import Broker

Found = tuple[str, int, list[Item]]  # epoch, top, events


class StreamReads:
    """Reads for who comes and for who asks for history."""

    def __init__(self, broker: Broker, events: EventStore, feed: Feed) -> None:
        self._broker = broker
        self._events = events
        self._feed = feed

    async def read(
        self,
        channel: Channel,
        site: str,
        after: int,
        limit: int,
        asked_epoch: str = "",
        *,
        begin: bool = False,
    ) -> Found:
        """Events of an events channel after `after`. `begin`: a site's stream without a numbering
        gets one."""
        if channel.scope == "site":
            epoch, top, found = await self._broker.history(site, None, after, limit, begin=begin)
            return epoch, top, [Item(p.stream_offset, p.body, p) for p in found]
        epoch, top, found = await self._broker.history(site, channel.target, after, limit)
        items = [Item(p.offset, p.body) for p in found]
        if not epoch:  # Redis knows nothing of it, PostgreSQL does, also before the first event
            epoch, top = await self._events.numbering(channel.target)
        reaches = after >= top or (bool(items) and items[0].offset == after + 1)
        if not reaches and epoch and asked_epoch in ("", epoch):
            items = await self._feed.read_stored(channel.target, epoch, after, limit)
        return epoch, top, items
