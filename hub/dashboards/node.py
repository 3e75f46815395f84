"""The hub's dashboard side in one place: connections, what they ask, what time brings.

It owns two tasks however many clients there are: the reader of the broker and the clock. Whatever
waits (a decision, a read) belongs to the connection that asked for it.
"""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from actors.core.errors import EyrieError, Forbidden, NotFound
from actors.core.settings import Settings
from hub.access import client_address, subscription_options
from hub.access.authorization import Access
from hub.access.registry_cache import CameraCache
from hub.compat import admission
from hub.compat.plain_channels import PlainChannels
from hub.dashboards import canary, connection_limits, rejections
from hub.dashboards.actions import (
    Action,
    Authorize,
    Fail,
    Join,
    Operate,
    ReadHistory,
    Renew,
    SendReply,
    Shut,
)
from hub.dashboards.connection import ClientSocket, Dashboard, NodeStats
from hub.dashboards.connection_limits import Admission
from hub.dashboards.connection_state import ConnectionLimits
from hub.dashboards.emulation import Emulation
from hub.dashboards.expiry import tidy
from hub.dashboards.handshake import Refusal
from hub.dashboards.polled_sites import Polls
from hub.dashboards.reauthorization import Reviews
from hub.dashboards.subscribe import Joins
from hub.dashboards.timer_wheel import RESOLUTION_S, Wheel
from hub.fanout.broker_subscriptions import Interest
from hub.fanout.fanout import Fanout
from hub.fanout.feed import Feed
from hub.fanout.latency import Latencies
from hub.fanout.recovery import outcome
from hub.fanout.registry_sync import Membership
from hub.fanout.topics import Topic
from hub.protocol import channels, disconnects, errors
from hub.protocol.disconnects import CloseCode
from hub.protocol.messages import JSON, Codec, SubscribeResult
from hub.protocol.paths import DASHBOARD_PATHS
from policy.identity.principal import Principal
from policy.identity.revocations import Revocations
from storage.ports.events import EventStore
from storage.ports.live import Broker

log = logging.getLogger(__name__)

BROKER_RETRY_S = 0.5
CANARY_TTL_S = 86_400.0
LANES = {"state": "live", "event": "events"}
TIDY_S = 1.0  # between two looks at what nobody watches any more
BURST = 64  # publications taken in one turn of the loop


class Node:
    """See the module. `codecs` are the encodings on offer by name."""

    def __init__(
        self,
        settings: Settings,
        *,
        name: str,
        access: Access,
        cameras: CameraCache,
        broker: Broker,
        events: EventStore,
        codecs: Sequence[Codec] = (JSON,),
        version: str = "eyrie",
        plain: PlainChannels | None = None,
    ) -> None:
        hub = settings.hub
        self.name = name
        self.plain = plain
        self.settings = settings
        self.access = access
        self.cameras = cameras
        self.stats = NodeStats()
        self.fanout = Fanout()
        self.topics: dict[str, Topic] = {}
        self.feed = Feed(broker, events, self.fanout, self.topics)
        self.feed.evict = self._evict
        self.interest = Interest(broker)
        self.boot = secrets.token_hex(4)
        self.joins = Joins(
            broker, events, cameras, self.feed, self.interest, self.topics, self.boot
        )
        self.polls = Polls(self.joins, self.feed.live)
        self.membership = Membership(cameras, self.feed, self.fanout, self.topics)
        self.dashboards: dict[Dashboard, None] = {}
        self.origins = client_address.named(hub.allowed_origins)
        self.admission = Admission(hub, time.monotonic())
        self.latencies = Latencies()
        self.emulation = Emulation(name, broker, settings.policy.key_file)
        self.canary_key = canary.new_key()
        self._canary: Dashboard | None = None
        self.draining = False
        self.to_drain = 0  # dashboards there were when the drain began
        self.broker_up = True  # it was opened; a notice says when it is lost
        self.failed: str | None = None
        self.broken = asyncio.Event()
        self._broker = broker
        self._codecs = {codec.name: codec for codec in codecs}
        self._limits = ConnectionLimits(
            first_message_s=hub.first_message_s,
            ping_s=hub.ping_s,
            pong_s=hub.pong_s,
            expired_grace_s=hub.expired_grace_s,
            max_subscriptions=hub.max_subscriptions,
            version=version,
            node=name,
        )
        self._wheel: Wheel[Dashboard] = Wheel(time.monotonic())
        self.reviews = Reviews(access, self.topics, self.dashboards, self.fanout, self._spawn)
        self._parse: Callable[[str], channels.Channel] = channels.parser(settings.channels)
        if plain is not None:
            self._limits = plain.profile.limits(self._limits)
            self.reviews.exempt, plain.profile.own = plain.knows, self._parse
            self._parse = plain.profile.parse
        self.membership.changed = self.reviews.cameras_changed
        self._tasks: set[asyncio.Task[None]] = set()

    # sockets, as `socket_protocol.Door`

    def admit(self, path: str, found: Sequence[str], address: str) -> Refusal | None:
        """Origin, drain and connection limits; none of them are for this hub's own canary."""
        if self._is_canary(found):
            return None
        if not client_address.allowed(found, self.origins):
            self.stats.refused += 1
            log.warning(
                "a socket for %s from origin %.200r is refused: not in hub.allowed_origins",
                path[:100],
                ", ".join(found),
            )
            return Refusal(403, "This origin may not connect; add it to hub.allowed_origins.\n")
        if path not in DASHBOARD_PATHS and not self.draining:
            return None  # edges have their own limits
        denied = self.admission.check(
            address, len(self.dashboards), time.monotonic(), draining=self.draining
        )
        if denied is not None:
            self.stats.refused += 1
            retry_s = denied.retry_s + secrets.randbelow(3)
            return Refusal(
                503,
                f"This hub takes no more connections ({denied.reason}).\n",
                {"Retry-After": str(retry_s)},
            )
        return None

    def _is_canary(self, found: Sequence[str]) -> bool:
        return len(found) == 1 and secrets.compare_digest(
            found[0].encode(), canary.origin(self.canary_key).encode()
        )

    def open(
        self, link: ClientSocket, codec: str, address: str, found: Sequence[str] = ()
    ) -> Dashboard:
        """A dashboard has connected, or the canary, which is counted as none."""
        hub = self.settings.hub
        dashboard = Dashboard(
            self,
            link,
            self._codecs.get(codec, JSON),
            secrets.token_hex(8),
            self._limits,
            queue_bytes=hub.queue_bytes,
            timeout_s=hub.call_timeout_s,
            spread=random.random(),
            address=address,
            parse=self._parse,
        )
        if not self._is_canary(found):
            self.dashboards[dashboard] = None
            self.admission.entered(address)
            self.stats.accepted += 1
        return dashboard

    # what a dashboard asks, as `dashboard.Desk`

    async def authorize(self, dashboard: Dashboard, action: Authorize) -> list[Action]:
        if secrets.compare_digest(action.request.token.encode(), self.canary_key.encode()):
            self._canary = dashboard  # it may nothing, and gets what this hub sends to itself
            return dashboard.session.connected(action.id, CANARY_TTL_S, time.monotonic())
        if (
            self.plain is not None
            and (admitted := await admission.admit(self.plain, self.admission, dashboard, action))
            is not None
        ):
            return admitted
        try:
            principal = await self.access.identify(action.request.token, dashboard.address)
            turn = self.reviews.turn
            await self.access.limiter.take(("user_connects", principal.sub))
            await self.access.require_connect(principal)
            self.access.revocations.require(principal)
        except EyrieError as error:
            log.info("dashboard %s: %s", dashboard.session.client, error.detail)
            return [rejections.refusal(action.id, error)]
        if dashboard.closing or dashboard not in self.dashboards:
            return []
        if not self.admission.named(principal.sub):
            log.info(
                "dashboard %s: %s has too many connections", dashboard.session.client, principal.sub
            )
            return [Shut(disconnects.CONNECTION_LIMIT)]
        dashboard.principal = principal
        dashboard.session.may_ask = self.access.limiter.commands(principal.sub)
        self.reviews.if_older(dashboard, turn)
        return dashboard.session.connected(
            action.id, self.access.ttl_s(principal), time.monotonic()
        )

    async def operate(self, dashboard: Dashboard, action: Operate) -> list[Action]:
        return (
            [Fail(action.id, errors.NOT_AVAILABLE)]
            if self.plain is None
            else await self.plain.operate(dashboard, action)
        )

    async def renew(self, dashboard: Dashboard, action: Renew) -> list[Action]:
        """See Desk. The subject may not change; what it may see is asked about again."""
        if (
            self.plain is not None
            and (renewed := admission.renew(self.plain, dashboard, action)) is not None
        ):
            return renewed
        try:
            principal = await self.access.identify(action.token, dashboard.address)
        except EyrieError as error:
            return [rejections.refusal(action.id, error)]
        if dashboard.principal is None or principal.sub != dashboard.principal.sub:
            return [Shut(disconnects.INVALID_TOKEN)]
        dashboard.principal = principal
        await self.reviews.one(dashboard)
        return dashboard.session.renewed(action.id, self.access.ttl_s(principal), time.monotonic())

    async def join(self, dashboard: Dashboard, action: Join) -> list[Action]:
        if dashboard.principal is None:
            return [Shut(disconnects.BAD_REQUEST)]
        if self.plain is not None and action.channel.lane == "plain":
            return await self.plain.join(dashboard, action)
        try:
            wish = subscription_options.parse(bytes(action.request.data), action.channel)
            subscribe = partial(self._subscribe, dashboard, dashboard.principal, action, wish)
            result, until = await self.reviews.settled(
                subscribe, partial(self.leave, dashboard, action.channel.name)
            )
        except (Forbidden, NotFound) as error:
            log.info(
                "dashboard %s may not have %s: %s",
                dashboard.session.client,
                action.channel.name,
                error.detail,
            )
            return [Fail(action.id, errors.of(error))]
        if wish != subscription_options.NONE:
            dashboard.options = (dashboard.options or {}) | {action.channel.name: wish}
        self.reviews.ask_again_at(dashboard, action.channel.name, until)
        if result.was_recovering:
            key = (action.channel.lane, outcome(action.request, result))
            self.stats.recoveries[key] = self.stats.recoveries.get(key, 0) + 1
        return dashboard.session.joined(action, result, time.monotonic())

    async def _subscribe(
        self,
        dashboard: Dashboard,
        principal: Principal,
        action: Join,
        wish: subscription_options.SubscriptionOptions,
    ) -> tuple[SubscribeResult, float | None]:
        if action.channel.lane == "wall" and action.channel.scope == "site":
            await self.access.require_cameras(principal, action.channel.target)
        view, until = await self.access.view("subscribe", principal, action.channel, wish)
        recovers = action.request.recover and action.channel.lane == "events"
        past = partial(self.access.past, principal, action.channel, wish) if recovers else None
        return await self.joins.join(dashboard, action.channel, action.request, view, past), until

    async def history(self, dashboard: Dashboard, action: ReadHistory) -> list[Action]:
        if dashboard.principal is None:
            return [Shut(disconnects.BAD_REQUEST)]
        if self.plain is not None and action.channel.lane == "plain":
            return await self.plain.history(dashboard, action)
        told = partial(
            self.access.told,
            dashboard.principal,
            action.channel,
            wish=dashboard.wish(action.channel.name),
        )
        view = await told(())
        topic = self.topics.get(action.channel.name)
        if topic is None:
            return [Fail(action.id, errors.PERMISSION_DENIED)]
        found = await self.joins.history(action.channel, topic.site, action.request, view, told)
        return [
            Fail(action.id, errors.UNRECOVERABLE_POSITION)
            if found is None
            else SendReply(action.id, "history", found)
        ]

    def leave(self, dashboard: Dashboard, channel: str) -> None:
        if self.plain is not None:
            self.plain.leave(dashboard, channel)
        group = dashboard.groups.pop(channel, None)
        topic = self.topics.get(channel)
        if group is not None and topic is not None:
            topic.remove(dashboard, group, time.monotonic())
        self.reviews.forget(dashboard, channel)
        if dashboard.options is not None:
            dashboard.options.pop(channel, None)

    def gone(self, dashboard: Dashboard, close: CloseCode | None = None) -> None:
        if close is not None:
            self.stats.closes[close.code] = self.stats.closes.get(close.code, 0) + 1
        for channel in list(dashboard.groups):
            self.leave(dashboard, channel)
        if self.plain is not None:
            self.plain.left(dashboard)
        self.fanout.forget(dashboard)
        self.emulation.forget(dashboard)
        if self.dashboards.pop(dashboard, self) is None:
            self.admission.left(
                dashboard.address,
                dashboard.principal.sub if dashboard.principal is not None else None,
            )

    def schedule(self, dashboard: Dashboard) -> None:
        deadline = dashboard.session.deadline
        if deadline < dashboard.scheduled:
            dashboard.scheduled = deadline
            self._wheel.add(deadline, dashboard)

    # what policy asks

    def revoked(self, revocations: Revocations) -> None:
        """Revocations changed."""
        self.reviews.revoked(revocations)

    def policy_changed(self, revision: str) -> None:
        """Another revision is in force."""
        self.reviews.policy_changed(revision)

    @staticmethod
    def monotonic() -> float:
        """The clock of held messages."""
        return time.monotonic()

    def _evict(self, topic: Topic) -> None:
        for client in topic.clients():
            if isinstance(client, Dashboard):
                client.unsubscribe(topic.channel.name, disconnects.UNSUBSCRIBED_INSUFFICIENT_STATE)

    # life

    def start(self) -> None:
        """Start the reader of the broker and the clock."""
        self._spawn(self._read_broker(), "broker")
        self._spawn(self._clock(), "clock")
        self._spawn(self._walls(), "walls")
        self._spawn(self.membership.run(), "membership")
        self._spawn(self._housekeeping(), "housekeeping")

    async def drain(self, window_s: float = 0.0) -> None:
        """Take no more connections and close the ones there are with 3001, in batches over
        `window_s` seconds at most."""
        self.draining = True
        there = list(self.dashboards)
        random.shuffle(there)
        self.to_drain += len(there)
        for number, batch in enumerate(connection_limits.batches(there, window_s)):
            if number:
                await asyncio.sleep(connection_limits.STEP_S)
            for dashboard in batch:
                dashboard.drop(connection_limits.goodbye(random.random()))
        for dashboard in list(self.dashboards):  # who came in while the doors were closing
            dashboard.drop(connection_limits.goodbye(random.random()))

    async def stop(self) -> None:
        """End everything."""
        await self.drain()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.feed.close()

    async def _read_broker(self) -> None:
        while True:
            try:
                taken = 0
                async for publication in self._broker.run():
                    taken += 1
                    if taken % BURST == 0:
                        await asyncio.sleep(
                            0
                        )  # a full queue yields by itself never: let what is due be written
                    self.broker_up = True
                    if publication.kind == "notice":
                        self._notice(publication.body)
                        continue
                    self.feed.live.redis_lost = False
                    if publication.kind == "canary":
                        if (
                            not self.emulation.take(publication.body)
                            and self._canary is not None
                            and not self._canary.closing
                        ):
                            self._canary.send(JSON.publication(canary.CHANNEL, publication.body))
                        continue
                    if publication.kind in LANES:
                        self.latencies.sample(
                            LANES[publication.kind], publication.body, time.time()
                        )
                    self.feed.take(publication)
            except EyrieError as error:
                log.warning("Redis cannot be read: %s", error)
            self._notice(b"lost")
            await asyncio.sleep(BROKER_RETRY_S)

    def _notice(self, body: bytes) -> None:
        log.info("broker: %s", body.decode(errors="replace"))
        if body == b"lost":
            self.broker_up = False
            self.feed.live.redis_lost = True
        else:
            self.broker_up = True
            self._spawn(self.feed.compare(), "comparison after a notice")

    async def _clock(self) -> None:
        turn = 0
        while True:
            await asyncio.sleep(RESOLUTION_S)
            now = time.monotonic()
            for dashboard in self._wheel.advance(now):
                dashboard.scheduled = float("inf")
                dashboard.tick(now)
            self.feed.sweep(now)
            self.fanout.serve()
            turn += 1
            if turn % 4 == 0:
                self.fanout.close_overdue()
                self.reviews.ask_due()

    async def _housekeeping(self) -> None:
        """Apart from the clock: what it reads may hang, and pings and staleness must not wait for
        that."""
        while True:
            await asyncio.sleep(TIDY_S)
            await tidy(
                self.topics,
                self.feed,
                self.joins,
                self.interest,
                self.cameras,
                self.polls,
                time.monotonic(),
            )
            if self.plain is not None:
                self.plain.tidy(time.monotonic())

    async def _walls(self) -> None:
        period = 1.0 / self.settings.camera.wall_hz
        due = time.monotonic()
        while True:
            due = max(due + period, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            for topic in list(self.topics.values()):
                if topic.wall is not None and (changed := topic.wall.take(time.monotonic())):
                    topic.show_wall(self.fanout, changed)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed = task.get_name()
            self.broken.set()
            log.critical("%s has failed", task.get_name(), exc_info=error)
