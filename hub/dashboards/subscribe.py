"""How a subscription starts, per lane: what the reply carries and from which moment the live
messages follow it without a hole."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

import msgspec

from actors.core.errors import Forbidden, NotFound, Unavailable
from hub.access.redaction import DEFAULT, View, of_camera, state
from hub.access.registry_cache import CameraCache
from hub.dashboards.connection import Dashboard
from hub.fanout import live_states, recovery, seen_positions
from hub.fanout.broker_subscriptions import Interest
from hub.fanout.feed import TOP, Feed
from hub.fanout.live_states import LiveStates
from hub.fanout.recovery import MAX_RECOVERED, Item
from hub.fanout.stream_reads import StreamReads
from hub.fanout.topics import Again, Render, Topic
from hub.fanout.walls import WallFeed
from hub.protocol.channels import Channel
from hub.protocol.messages import (
    HistoryRequest,
    HistoryResult,
    Publication,
    Raw,
    SubscribeRequest,
    SubscribeResult,
)
from storage.ports.epochs import new_epoch
from storage.ports.events import EventStore
from storage.ports.live import Broker

WATCH_AT_ONCE = 16  # sites whose summaries are read at the same time
MAX_SUMMARIES = 50_000  # cameras in one wall

Past = Callable[
    [Collection[str]], Awaitable[View | None]
]  # the view of what has happened, told by these cameras; None: it may not be seen


class Joins:
    """Starts subscriptions. `boot` names this life of the hub: the epoch of its walls."""

    def __init__(
        self,
        broker: Broker,
        events: EventStore,
        cameras: CameraCache,
        feed: Feed,
        interest: Interest,
        topics: dict[str, Topic],
        boot: str,
    ) -> None:
        self._broker = broker
        self._reads = StreamReads(broker, events, feed)
        self._cameras = cameras
        self._feed = feed
        self._interest = interest
        self._topics = topics
        self._boot = boot

    @property
    def _live(self) -> LiveStates:
        return self._feed.live

    async def join(
        self,
        dashboard: Dashboard,
        channel: Channel,
        request: SubscribeRequest,
        view: View,
        past: Past | None = None,
    ) -> SubscribeResult:
        """Subscribe; when this returns the dashboard is in its group, and nothing was awaited in
        between. Raises EyrieErrors.

        `past`: what it may see of the events it recovers, told by these cameras; None: nothing, it
        starts at the top.
        """
        if (
            channel.lane == "events"
            and request.recover
            and (past is None or await past(()) is None)
        ):
            result = await self._join(
                dashboard, channel, msgspec.structs.replace(request, recover=False), view, None
            )
            result.was_recovering = True
            return result
        if channel.namespace.recover:
            return await self._join(dashboard, channel, request, view, past)
        result = await self._join(
            dashboard, channel, msgspec.structs.replace(request, recover=False), view, None
        )
        result.recoverable = result.positioned = False
        return result

    async def _join(
        self,
        dashboard: Dashboard,
        channel: Channel,
        request: SubscribeRequest,
        view: View,
        past: Past | None,
    ) -> SubscribeResult:
        if channel.scope == "cluster":
            return await self._operations(dashboard, channel, request, view)
        if channel.lane == "live":
            return await self._camera(dashboard, channel, request, view)
        if channel.lane == "wall":
            return await self._wall(dashboard, channel, request, view)
        if channel.scope == "fleet":
            return await self._fleet_events(dashboard, channel, view)
        return await self._stream(dashboard, channel, request, view, past)

    async def open_sites(self, sites: list[str]) -> None:
        """Watch these sites; their event streams have a position before the first event is passed
        on."""
        await self._interest.sites(sites)
        for site in sites:
            await self._feed.open_site(site)

    async def _begin(self, channel: Channel) -> None:
        """Who is the first to watch these sites was asked about all that was known of them."""
        if any(topic.groups for topic in self._topics.values() if topic.channel.scope == "fleet"):
            return  # those who watch the fleet have yet to be asked about a site that is new
        asked = defaultdict[str, list[str]](list)
        for record in await self._cameras.ever(channel.target or None):
            asked[record.site].append(record.camera)
        for site, cameras in asked.items():
            self._feed.newcomers.begin(site, cameras)

    # live

    async def _camera(
        self, dashboard: Dashboard, channel: Channel, request: SubscribeRequest, view: View
    ) -> SubscribeResult:
        record = await self._cameras.camera(channel.target)
        if record is None:
            raise NotFound(f"camera {channel.target} is not registered")
        again = self._camera_again(record.camera)
        topic = self._topic(
            channel,
            record.site,
            self._render_camera(record.site, record.camera, seen=record.seen),
            again=again,
        )
        await self.open_sites([record.site])
        await self._interest.camera(record.site, record.camera)
        self._live.expect(record.site, [record.camera], time.monotonic())
        if self._live.state(record.camera) is None:
            await self.load_state(record.site, record.camera)
        self._enter(dashboard, topic, view)
        body, version = topic.render(view) or (b"{}", 0)
        self._feed.follow(topic, topic.add(dashboard, view, dashboard.codec))
        known = self._live.known(record.camera)
        scene = b'{"camera":"%s","site":"%s","name":%s,"scene_version":%d,"scene":%s}' % (
            record.camera.encode(),
            record.site.encode(),
            msgspec.json.encode(record.name),
            record.scene_version,
            record.scene or b"{}",
        )
        return SubscribeResult(
            recoverable=True,
            positioned=True,
            epoch=str(known.generation if known else 0),
            offset=version,
            data=Raw(scene),
            was_recovering=request.recover,
            recovered=request.recover,
            publications=[Publication(data=Raw(body), offset=version)],
        )

    async def load_state(self, site: str, camera: str) -> None:
        """Read the state shown last, where this hub has none."""
        found = await self._broker.state(site, camera)
        if found is not None:
            self._live.take_state(
                site,
                camera,
                found.generation,
                found.version,
                found.body,
                time.monotonic(),
                read=True,
            )

    def _render_camera(self, site: str, camera: str, *, seen: bool) -> Render:
        def render(view: View) -> tuple[bytes, int] | None:
            newest = self._newest(camera)
            if newest is None:
                return live_states.state_without_news(site, camera, seen=seen), 0
            body, version = self._live.pacing.shown(
                ("state", camera), view.limit_hz, newest, time.monotonic()
            )
            return state(body, view), version

        return render

    def _camera_again(self, camera: str) -> Again:
        def again(view: View) -> float | None:
            newest = self._newest(camera)
            return (
                None
                if newest is None
                else self._live.pacing.again(("state", camera), view.limit_hz, newest)
            )

        return again

    def _newest(self, camera: str) -> tuple[bytes, int] | None:
        known, body = self._live.known(camera), self._live.state(camera)
        return None if body is None or known is None else (body, known.state_version)

    # the cluster

    async def _operations(
        self, dashboard: Dashboard, channel: Channel, request: SubscribeRequest, view: View
    ) -> SubscribeResult:
        topic = self._topic(channel, "", lambda view: self._feed.operations)
        await self._interest.operations()
        self._feed.take_operations(await self._broker.operations())
        self._enter(dashboard, topic, view)
        body, number = self._feed.operations
        return SubscribeResult(
            recoverable=True,
            positioned=True,
            epoch=self._boot,
            offset=number,
            was_recovering=request.recover,
            recovered=request.recover,
            publications=[Publication(data=Raw(body), offset=number)],
        )

    # walls

    async def _wall(
        self, dashboard: Dashboard, channel: Channel, request: SubscribeRequest, view: View
    ) -> SubscribeResult:
        await self._begin(channel)
        wall = WallFeed(channel.target, self._summary, self._live.pacing, self._live.echoing)
        known = self._topics.get(channel.name)
        topic = known or self._topic(
            channel, channel.target, self._render_wall(wall, channel), wall=wall
        )
        await self.load_sites([channel.target] if channel.target else await self._cameras.sites())
        names = await self._names(
            [channel.target] if channel.target else await self._cameras.sites(), view
        )
        self._enter(dashboard, topic, view)
        body, tick = topic.render(view) or (b"{}", 0)
        return SubscribeResult(
            recoverable=True,
            positioned=True,
            epoch=self._boot,
            offset=tick,
            was_recovering=request.recover,
            recovered=request.recover,
            publications=[Publication(data=Raw(body), offset=tick)],
            data=Raw(names),
        )

    async def _names(self, sites: list[str], view: View) -> bytes:
        """What people call the cameras of a wall: ``{"names": {camera: name}}``, those that `view`
        shows and that have a name."""
        records = [record for site in sites for record in await self._cameras.cameras(site)]
        shown = {
            record.camera: record.name
            for record in records
            if record.name and record.camera not in view.exclude
        }
        return msgspec.json.encode({"names": shown})

    async def load_sites(self, sites: list[str]) -> None:
        """Watch these sites and read the summaries shown last, where they are not watched yet."""
        await self.open_sites(sites)
        gate = asyncio.Semaphore(WATCH_AT_ONCE)

        async def load(site: str) -> None:
            async with gate:
                records = await self._cameras.cameras(site)
                now = time.monotonic()
                seen = {record.camera for record in records if record.seen}
                self._live.expect(
                    site, [record.camera for record in records[:MAX_SUMMARIES]], now, seen=seen
                )
                for entry in await self._broker.summaries(site):
                    self._live.take_summary(site, entry, now, read=True)

        lacking = [site for site in sites if not self._live.complete(site)]
        await asyncio.gather(*(load(site) for site in lacking))
        for site in lacking:
            self._live.mark_complete(site)

    def _summary(self, camera: str) -> bytes | None:
        known = self._live.known(camera)
        if known is None or not self._feed.newcomers.shown(known.site, camera):
            return None
        return self._live.summary(camera) or live_states.without_news(
            known.site, camera, seen=known.seen
        )

    def _render_wall(self, wall: WallFeed, channel: Channel) -> Render:
        def render(view: View) -> tuple[bytes, int] | None:
            sites = [channel.target] if channel.target else list(self._live.sites())
            cameras = [camera for site in sites for camera in self._live.cameras(site)]
            body = wall.message(cameras, view, time.monotonic(), full=True)
            return None if body is None else (body, wall.tick)

        return render

    # events

    async def _fleet_events(
        self, dashboard: Dashboard, channel: Channel, view: View
    ) -> SubscribeResult:
        await self._begin(channel)
        await self.open_sites(await self._cameras.sites())
        self._enter(dashboard, self._topic(channel, "", _nothing), view)
        return SubscribeResult()

    async def _stream(
        self,
        dashboard: Dashboard,
        channel: Channel,
        request: SubscribeRequest,
        view: View,
        past: Past | None,
    ) -> SubscribeResult:
        """The order closes the race: subscribe to Redis, buffer, read history, merge, reply; the
        shell awaits nothing after the merge."""
        site = channel.target
        if channel.scope == "camera":
            record = await self._cameras.camera(channel.target)
            if record is None:
                raise NotFound(f"camera {channel.target} is not registered")
            site = record.site
        else:
            await self._begin(channel)
        topic = self._topic(channel, site, _nothing)
        with topic.joining.buffer() as buffer:
            await self.open_sites([site])
            seen = channel.scope == "site" and (
                bool(view.exclude) or await self._sees_none(site, view)
            )
            past = past if request.recover else None
            start, before = await (self._start_seen if seen else self._start)(
                topic, site, request, buffer, view, past
            )
        self._enter(dashboard, topic, view)
        now = ((item.offset, of_camera(item.body, view)) for item in start.publications)
        both = ((offset, of_camera(body, before)) for offset, body in now if body is not None)
        shown = [
            Publication(data=Raw(body), offset=offset) for offset, body in both if body is not None
        ]
        return SubscribeResult(
            recoverable=True,
            positioned=True,
            epoch=start.epoch,
            offset=start.offset,
            was_recovering=request.recover,
            recovered=start.recovered,
            publications=shown,
        )

    async def _start_seen(
        self,
        topic: Topic,
        site: str,
        request: SubscribeRequest,
        buffer: list[Item],
        view: View,
        past: Past | None,
    ) -> tuple[recovery.Start, View]:
        """The same in positions, for a view that leaves cameras out; what comes in while older
        events are read is in `buffer`."""
        none = await self._sees_none(site, view)
        anew = msgspec.structs.replace(request, recover=False)
        lane, _ = await self._start(topic, site, anew, buffer, view, None, begin=not none)
        enough = (
            seen_positions.recoverable(request.offset)
            if request.recover
            else seen_positions.newest(1)
        )
        seen = await seen_positions.read(
            self._broker, site, 0 if none else lane.offset, view.exclude, enough
        )
        before = await _told_by(seen.items, past)
        if seen.epoch not in ("", lane.epoch) or self._feed.site(site).epoch != lane.epoch:
            raise Unavailable("the events of this site begin anew")
        later = [
            item
            for item in buffer
            if item.offset > lane.offset and item.source and item.source.camera not in view.exclude
        ]
        seen = msgspec.structs.replace(
            seen, items=seen.items + [seen_positions.seen_item(item) for item in later]
        )
        return seen_positions.start(request, "" if none else lane.epoch, seen), before

    async def _sees_none(self, site: str, view: View) -> bool:
        """Whether a view leaves out every camera that a site ever had. Its events are then those of
        a site without cameras."""
        return all(record.camera in view.exclude for record in await self._cameras.ever(site))

    async def _start(
        self,
        topic: Topic,
        site: str,
        request: SubscribeRequest,
        buffer: list[Item],
        view: View,
        past: Past | None,
        *,
        begin: bool = True,
    ) -> tuple[recovery.Start, View]:
        """What is recovered, and as what it may be seen. `begin`: a site's events are numbered from
        now on at the latest, so that whoever comes holds a place that can be told from any other.
        """
        asked = request.offset if request.recover else TOP
        stream = self._feed.site(site) if topic.channel.scope == "site" else topic.stream
        epoch, top, found = await self._reads.read(
            topic.channel, site, asked, MAX_RECOVERED + 1, request.epoch, begin=begin
        )
        before = await _told_by(found, past)
        if begin and topic.channel.scope == "site" and not epoch:
            # Redis takes no writes: until it does, this hub numbers on, or has a name of its own
            # that no other numbering has.
            epoch, top = (stream.epoch, stream.offset) if stream.known else (new_epoch(), 0)
        if stream.known and stream.epoch != epoch:
            self._feed.restart(topic, stream, epoch, top)
        elif not stream.known:
            stream.start(epoch, top)
        elif stream.offset < top:
            await self._feed.fill(topic, site)
            if stream.offset < top:
                if topic.channel.scope != "site" or self._feed.newcomers.place(site) is None:
                    raise Unavailable("the stream is ahead of what can be read now")
                found = [
                    item for item in found if item.offset <= stream.offset
                ]  # the rest follows when policy has been asked about it
        merged = recovery.merge(found, buffer, asked) if request.recover else []
        if not request.recover:
            return recovery.fresh(epoch, stream.offset), before
        return recovery.recover(request.epoch, asked, epoch, stream.offset, merged or []), before

    async def history(
        self,
        channel: Channel,
        site: str,
        asked: HistoryRequest,
        view: View,
        told: Callable[[Collection[str]], Awaitable[View]],
    ) -> HistoryResult | None:
        """The answer to a history command, None where its `since` is lost. `told`: the view of what
        these cameras tell."""
        found = await self.read_history(channel, site, asked, view)
        if found is None or (asked.since is not None and asked.since.epoch not in ("", found[0])):
            return None
        epoch, top, items = found
        view = await told(_cameras_of(items))
        seen = ((item.offset, of_camera(item.body, view)) for item in items)
        return HistoryResult(
            [
                Publication(data=Raw(body), offset=offset)
                for offset, body in seen
                if body is not None
            ],
            epoch,
            top,
        )

    async def read_history(
        self, channel: Channel, site: str, asked: HistoryRequest, view: View
    ) -> tuple[str, int, Sequence[Item]] | None:
        """For the history command: `limit` 0 is the position alone, -1 as much as there may be;
        reversed is from the newest on.

        Without `since` a forward read starts at the newest `limit` events, as a dashboard wants it.
        A reversed `since` is exclusive. None where `since` is lost.
        """
        if channel.scope == "site" and (
            (none := await self._sees_none(site, view)) or view.exclude
        ):
            epoch, top, _ = ("", 0, []) if none else await self._reads.read(channel, site, TOP, 1)
            found = await seen_positions.history(self._broker, site, top, view.exclude, asked)
            return None if found is None else (epoch + seen_positions.MARK, *found)
        since = asked.since
        wanted = MAX_RECOVERED if asked.limit < 0 else min(asked.limit, MAX_RECOVERED)
        if not wanted:
            return await self._reads.read(channel, site, TOP, 1)
        if since is not None and not asked.reverse:
            return await self._reads.read(channel, site, since.offset, wanted, since.epoch)
        epoch, top, _ = await self._reads.read(channel, site, TOP, 1)
        last = top if since is None else min(top, since.offset - 1)
        if last <= 0:
            return epoch, top, []
        epoch, top, items = await self._reads.read(
            channel, site, max(0, last - wanted), min(wanted, last), since.epoch if since else ""
        )
        return epoch, top, items[::-1] if asked.reverse else items

    # common

    def _topic(
        self,
        channel: Channel,
        site: str,
        render: Render,
        *,
        wall: WallFeed | None = None,
        again: Again | None = None,
    ) -> Topic:
        topic = self._topics.get(channel.name)
        if topic is None:
            topic = self._topics[channel.name] = Topic(
                channel, site, render, wall=wall, idle_since=time.monotonic()
            )
            topic.again = again or topic.again
        return topic

    def _enter(self, dashboard: Dashboard, topic: Topic, view: View) -> None:
        if dashboard.closing:
            raise Unavailable("the connection has ended")
        topic = self._topics.setdefault(topic.channel.name, topic)
        dashboard.groups[topic.channel.name] = topic.add(dashboard, view, dashboard.codec)


def _cameras_of(items: Iterable[Item]) -> frozenset[str]:
    """The cameras that these publications of a site tell of."""
    return frozenset(item.source.camera for item in items if item.source is not None)


async def _told_by(items: Iterable[Item], past: Past | None) -> View:
    """The view that these have as the past; any, where nothing of it is asked for."""
    view = DEFAULT if past is None else await past(_cameras_of(items))
    if view is None:
        raise Forbidden("what has happened may not be seen any more")
    return view


def _nothing(view: View) -> None:
    """Events have no newest message."""
    return
