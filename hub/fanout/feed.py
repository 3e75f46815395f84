"""From Redis to the topics: what the broker delivers becomes states, walls and events on this hub.

Events go through the site's stream first (its positions are contiguous), then through the camera's
own; a hole in either is filled from the Redis stream, a camera's also from PostgreSQL, before
anybody sees what lies beyond it. Where it cannot be filled, the subscribers of that stream are told
2500 and recover from their own offset.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

import msgspec

from actors.core.errors import EyrieError
from actors.core.messages.events import published
from hub.access import redaction
from hub.fanout.fanout import Fanout
from hub.fanout.live_states import Lag, LiveStates
from hub.fanout.newcomers import Newcomers
from hub.fanout.recovery import Item
from hub.fanout.streams import MissingPublications, StreamReset, TopicPosition
from hub.fanout.topics import Members, Topic
from hub.protocol import channels
from storage.ports.events import EventStore
from storage.ports.live import Broker, BrokerMessage

log = logging.getLogger(__name__)

PAGE = 500  # events read at once when a hole is filled
MAX_PAGES = 4
TOP = 2**62  # an offset beyond every stream: asks for the position only
FLEET_EVENTS = "events:fleet"
NO_OPERATIONS = b'{"operations":[]}'
MAX_REPAIRS = 64  # reads under way at once; more cameras wait for the next heartbeat


class FeedStats(msgspec.Struct):
    """Counts since the start, for metrics."""

    publications: int = 0
    refused: int = 0
    holes: int = 0
    filled: int = 0
    resets: int = 0
    stale: int = 0


class Feed:
    """Takes publications in. `topics` is shared with the node."""

    def __init__(
        self, broker: Broker, events: EventStore, fanout: Fanout, topics: dict[str, Topic]
    ) -> None:
        self.live = LiveStates()
        self.stats = FeedStats()
        self.sites: dict[str, TopicPosition] = {}
        self.newcomers = Newcomers()
        self._broker = broker
        self._events = events
        self._fanout = fanout
        self._topics = topics
        self.operations: tuple[bytes, int] = (
            NO_OPERATIONS,
            0,
        )  # of the cluster, and a number that grows with every change
        self._repairs: dict[str, asyncio.Task[None]] = {}
        self._postponed: dict[
            str, None
        ] = {}  # sites whose streams are read on when a repair has ended

    # publications

    def receive(self, publication: BrokerMessage) -> None:
        """One publication of the broker (the notices excepted, see the node)."""
        self.stats.publications += 1
        if publication.kind == "state":
            self._state(publication)
        elif publication.kind == "summaries":
            self._summaries(publication)
        elif publication.kind == "heartbeat":
            self._heartbeat(publication)
        elif publication.kind == "event":
            self._event(publication)
        elif publication.kind == "operations":
            self.take_operations(publication.body)

    def _state(self, p: BrokerMessage) -> None:
        now = time.monotonic()
        if self.live.take_state(p.site, p.camera, p.generation, p.version, p.body, now):
            self.show_camera(p.camera, now)
        else:
            self.stats.refused += 1

    def _summaries(self, p: BrokerMessage) -> None:
        now = time.monotonic()
        for entry in p.entries:
            if self.live.take_summary(p.site, entry, now):
                self.mark(p.site, entry.camera)
            else:
                self.stats.refused += 1

    def _heartbeat(self, p: BrokerMessage) -> None:
        lags, back = self.live.take_heartbeat(p.site, p.entries, time.monotonic())
        for camera in back:
            self._condition_changed(camera)
        for lag in lags:
            self._catch_up(p.site, lag)

    def _event(self, p: BrokerMessage) -> None:
        if self._waits(p.site, [p], p.stream_epoch, p.stream_offset - 1):
            self._camera_event(p)
            return
        stream = self.site(p.site)
        outcome = stream.receive(p.stream_epoch, Item(p.stream_offset, p.body, p))
        if isinstance(outcome, StreamReset):
            self._reset_site(p.site, outcome)
            outcome = [outcome.item]
        if isinstance(outcome, MissingPublications):
            self._repair(f"site:{p.site}", stream, self._fill_site(p.site, stream, outcome))
            return
        for item in outcome:
            self._pass_site(p.site, item)

    def take_operations(self, body: bytes) -> None:
        """The cluster's operations, published or read back; the latest wins."""
        body = body or NO_OPERATIONS
        shown, number = self.operations
        if body == shown:
            return
        self.operations = (body, number + 1)
        topic = self._topics.get(channels.CLUSTER_OPERATIONS)
        if topic is not None:
            topic.show(self._fanout, time.monotonic())

    # events

    def _pass_site(self, site: str, item: Item) -> None:
        source = item.source
        if source is None:
            return
        for name in (channels.site_events(site), FLEET_EVENTS):
            topic = self._topics.get(name)
            if topic is not None and self.newcomers.shown(site, source.camera):
                topic.pass_on(
                    self._fanout,
                    item,
                    redaction.event,
                    camera=source.camera,
                    numbered=name != FLEET_EVENTS,
                )
        self._camera_event(source)

    def _waits(self, site: str, found: Sequence[BrokerMessage], epoch: str, offset: int) -> bool:
        """Whether these events of a site wait until policy has been asked about their cameras."""
        if channels.site_events(site) not in self._topics and FLEET_EVENTS not in self._topics:
            return False
        return self.newcomers.waits(site, {p.camera for p in found}, epoch, offset)

    def admit(self, site: str, cameras: Iterable[str]) -> None:
        """Everybody who watches the site has been asked about these: show what waited for that."""
        new, place = self.newcomers.admit(site, cameras)
        for camera in new:
            self.mark(site, camera)
        if place is None:
            return
        if not self.site(site).known:
            self.site(site).start(*place)
        self._go_on(site)

    def _go_on(self, site: str) -> None:
        """Read what comes next in a site's stream, after the reads that are in the way."""
        if f"site:{site}" in self._repairs or len(self._repairs) >= MAX_REPAIRS:
            self._postponed[site] = None
            return
        stream = self.site(site)
        stream.filling = True
        self._repair(
            f"site:{site}",
            stream,
            self._fill_site(site, stream, MissingPublications(stream.offset)),
        )

    def _camera_event(self, p: BrokerMessage) -> None:
        topic = self._topics.get(channels.camera_events(p.camera))
        if topic is None:
            return
        outcome = topic.stream.receive(p.epoch, Item(p.offset, p.body))
        if isinstance(outcome, StreamReset):
            self._reset_topic(topic)
            return
        if isinstance(outcome, MissingPublications):
            self._repair(topic.channel.name, topic.stream, self._fill_camera(topic, outcome))
            return
        self._pass_camera(topic, outcome)

    def _pass_camera(self, topic: Topic, items: list[Item]) -> None:
        for item in items:
            topic.pass_on(self._fanout, item, redaction.event, camera=topic.channel.target)

    def site(self, site: str) -> TopicPosition:
        """The position of a site's stream."""
        return self.sites.setdefault(site, TopicPosition())

    async def open_site(self, site: str) -> None:
        """Take the position of a site's stream, so that its next event is known to be the next."""
        stream = self.site(site)
        self.live.expect(site, (), time.monotonic())
        if not stream.known:
            epoch, top, _ = await self._broker.history(site, None, TOP, 1)
            if epoch and not stream.known:
                stream.start(*(self.newcomers.place(site) or (epoch, top)))

    def forget_site(self, site: str) -> None:
        """Nobody watches this site any more."""
        self.sites.pop(site, None)
        self._postponed.pop(site, None)
        self.newcomers.forget(site)
        self.live.forget_site(site)

    async def fill(self, topic: Topic, site: str) -> None:
        """Read what a lane lacks although Redis has it already (its publication is still on the
        way)."""
        if topic.channel.scope == "site":
            stream = self.site(site)
            await self._fill_site(site, stream, MissingPublications(stream.offset))
        else:
            await self._fill_camera(topic, MissingPublications(topic.stream.offset))

    def restart(self, topic: Topic, stream: TopicPosition, epoch: str, top: int) -> None:
        """A stream has another epoch: who was on it must recover, and it goes on from `top`."""
        self._reset_topic(topic)
        stream.start(epoch, top)

    async def _fill_site(self, site: str, stream: TopicPosition, hole: MissingPublications) -> None:
        try:
            epoch, _, found = await self._broker.history(site, None, hole.after, PAGE * MAX_PAGES)
        except EyrieError as error:
            log.warning("events of site %s cannot be read back now: %s", site, error)
            stream.filling = False  # the next event or heartbeat tries again
            return
        if self._waits(site, found, stream.epoch, stream.offset):
            stream.filling = False
            return
        items = (
            stream.fill([Item(p.stream_offset, p.body, p) for p in found])
            if epoch == stream.epoch
            else None
        )
        if items is None:
            stream.start("", 0)
            self._reset_topic(self._topics.get(channels.site_events(site)))
            return
        self.stats.filled += len(items)
        for item in items:
            self._pass_site(site, item)
        if len(found) == PAGE * MAX_PAGES:
            self._go_on(site)

    async def _fill_camera(self, topic: Topic, hole: MissingPublications) -> None:
        stream = topic.stream
        try:
            found = await self.read_camera(
                topic.site, topic.channel.target, stream.epoch, hole.after, PAGE * MAX_PAGES
            )
        except EyrieError as error:
            log.warning(
                "events of camera %s cannot be read back now: %s", topic.channel.target, error
            )
            stream.filling = False
            return
        items = stream.fill(found)
        if items is None:
            self._reset_topic(topic)
            return
        self.stats.filled += len(items)
        self._pass_camera(topic, items)

    async def read_camera(
        self, site: str, camera: str, epoch: str, after: int, limit: int
    ) -> list[Item]:
        """The events of a camera after `after`, from Redis and, where that does not reach back far
        enough, from PostgreSQL."""
        found_epoch, top, found = await self._broker.history(site, camera, after, limit)
        items = [Item(p.offset, p.body) for p in found]
        if found_epoch == epoch and (top <= after or (items and items[0].offset == after + 1)):
            return items
        return await self.read_stored(camera, epoch, after, limit)

    async def read_stored(self, camera: str, epoch: str, after: int, limit: int) -> list[Item]:
        """The same from PostgreSQL alone."""
        rows = await self._events.after(camera, epoch, after, limit)
        return [Item(row.offset, published(row.body, row.hash, row.personal)) for row in rows]

    def _reset_site(self, site: str, reset: StreamReset) -> None:
        self._reset_topic(self._topics.get(channels.site_events(site)))
        self.sites[site].start(reset.epoch, reset.item.offset)

    def _reset_topic(self, topic: Topic | None) -> None:
        if topic is None:
            return
        self.stats.resets += 1
        topic.stream.start("", 0)
        topic.evict()

    # states and walls

    def mark(self, site: str, camera: str) -> None:
        """A summary changed: the walls that show it say so with their next tick."""
        for name in (channels.site(site), "fleet"):
            topic = self._topics.get(name)
            if topic is not None and topic.wall is not None:
                topic.wall.mark(camera)

    def show_camera(self, camera: str, now: float) -> None:
        """Deliver a camera's state to its channel."""
        topic = self._topics.get(channels.camera(camera))
        if topic is not None:
            topic.show(self._fanout, now)

    def follow(self, topic: Topic, group: Members) -> None:
        """Somebody has come to this group, and was shown what the policy's rate allowed."""
        topic.follow(group, self._fanout)

    def sweep(self, now: float) -> None:
        """Mark what has not been heard for too long as stale, and show it so."""
        for camera in self.live.sweep(now):
            self.stats.stale += 1
            self._condition_changed(camera)

    def _condition_changed(self, camera: str) -> None:
        known = self.live.known(camera)
        if known is not None:
            self.mark(known.site, camera)
            self.show_camera(camera, time.monotonic())

    # repairs

    def _catch_up(self, site: str, lag: Lag) -> None:
        events = self._topics.get(channels.camera_events(lag.camera))
        if events is not None and (hole := events.stream.lacks(lag.offset)) is not None:
            self._repair(events.channel.name, events.stream, self._fill_camera(events, hole))
        watched = channels.camera(lag.camera) in self._topics
        if lag.summary or (lag.state and watched):
            self._repair(f"state:{lag.camera}", None, self._reload(site, lag.camera))

    async def _reload(self, site: str, camera: str) -> None:
        try:
            found = await self._broker.state(site, camera)
        except EyrieError as error:
            log.info("state of camera %s cannot be read now: %s", camera, error)
            return
        now = time.monotonic()
        known = self.live.known(camera)
        if found is None or known is None:
            return
        fresh = self.live.take_state(
            site, camera, found.generation, found.version, found.body, now, read=True
        )
        if known.generation == found.generation and known.summary_version < found.version:
            known.summary = None  # made from the state when asked for
        if fresh or known.summary is None:
            self._condition_changed(camera)

    async def compare(self) -> None:
        """After a notice: read the top of every watched site's stream and fill what is missing;
        heartbeats do the rest for states."""
        if channels.CLUSTER_OPERATIONS in self._topics:
            try:
                self.take_operations(await self._broker.operations())
            except EyrieError as error:
                log.warning("the cluster's operations cannot be read now: %s", error)
        for site, stream in list(self.sites.items()):
            try:
                epoch, top, _ = await self._broker.history(site, None, stream.offset, 1)
            except EyrieError as error:
                log.warning("site %s cannot be compared now: %s", site, error)
                return
            if stream.known and epoch != stream.epoch:
                stream.start("", 0)
                self._reset_topic(self._topics.get(channels.site_events(site)))
            elif (hole := stream.lacks(top)) is not None:
                self.stats.holes += 1
                await self._fill_site(site, stream, hole)

    def _repair(
        self, key: str, stream: TopicPosition | None, work: Coroutine[Any, Any, None]
    ) -> None:
        self.stats.holes += stream is not None
        if key in self._repairs or len(self._repairs) >= MAX_REPAIRS:
            work.close()
            if stream is not None and key not in self._repairs:
                stream.filling = False  # the next event or heartbeat asks again
            return
        task = asyncio.get_running_loop().create_task(work)
        self._repairs[key] = task
        task.add_done_callback(lambda done: self._repaired(key, done))

    def _repaired(self, key: str, task: "asyncio.Task[None]") -> None:
        self._repairs.pop(key, None)
        for site in list(self._postponed):
            if len(self._repairs) >= MAX_REPAIRS:
                break
            if f"site:{site}" not in self._repairs:
                del self._postponed[site]
                self._go_on(site)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("repair of %s failed", key, exc_info=error)

    async def close(self) -> None:
        """End the reads under way."""
        self._postponed.clear()
        tasks = list(self._repairs.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
