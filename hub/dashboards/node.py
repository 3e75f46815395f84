"""The hub's dashboard side, put together: what is known live, who is connected, and the few tasks
that keep both going however many clients there are."""

import asyncio
import logging
import secrets
import time
from collections.abc import Sequence

from actors.core.settings import Settings
from actors.core.task_set import TaskSet
from hub.access.authorization import Access
from hub.access.registry_cache import CameraCache
from hub.dashboards.broker_reader import BrokerReader
from hub.dashboards.commands import HubCommands
from hub.dashboards.connection import ConnectionServices, ConnectionStats, Dashboard
from hub.dashboards.connection_limits import Admission
from hub.dashboards.connection_state import ConnectionLimits
from hub.dashboards.connections import Connections
from hub.dashboards.emulation import Emulation
from hub.dashboards.extension import Extension
from hub.dashboards.subscribe import Joins
from hub.dashboards.timed.canary import CanaryConnection
from hub.dashboards.timed.clock import Clock
from hub.dashboards.timed.expiry import Expiry
from hub.dashboards.timed.polled_sites import Polls
from hub.dashboards.timed.reauthorization import Reviews
from hub.fanout import wall_ticks
from hub.fanout.broker_subscriptions import Interest
from hub.fanout.fanout import Fanout
from hub.fanout.feed import Feed
from hub.fanout.registry_sync import Membership
from hub.fanout.topics import Topic
from hub.protocol import channels
from hub.protocol.messages import JSON, Codec
from storage.ports.events import EventStore
from storage.ports.live import Broker

log = logging.getLogger(__name__)


class Node:
    """See the module. `codecs` are the encodings on offer."""

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
        extension: Extension | None = None,
    ) -> None:
        hub, extension = settings.hub, extension or Extension()
        connected: dict[Dashboard, None] = {}
        self.name = name
        self.stats = ConnectionStats()
        self.broken = asyncio.Event()  # a task has failed: this hub is to be replaced
        self.tasks = TaskSet(log, lambda _reason: self.broken.set(), strict=True)
        self.canary = CanaryConnection()
        self.emulation = Emulation(name, broker, settings.policy.key_file)
        self.fanout = Fanout()
        self.topics: dict[str, Topic] = {}
        self.feed = Feed(broker, events, self.fanout, self.topics)
        self.interest = Interest(broker)
        joins = Joins(
            broker,
            events,
            cameras,
            self.feed,
            self.interest,
            self.topics,
            secrets.token_hex(4),
        )
        self.polls = Polls(joins, self.feed.live)
        self.reviews = Reviews(
            access, self.topics, connected, self.fanout, self.tasks.spawn, extension.admits
        )
        self.membership = Membership(
            cameras, self.feed, self.fanout, self.topics, self.reviews.cameras_changed
        )
        admission = Admission(hub, time.monotonic())
        commands = HubCommands(
            access,
            joins,
            self.reviews,
            self.topics,
            connected,
            admission=admission,
            stats=self.stats,
            canary=self.canary,
        )
        clock = Clock(self.feed, self.fanout, self.reviews)
        limits = ConnectionLimits(
            first_message_s=hub.first_message_s,
            ping_s=hub.ping_s,
            pong_s=hub.pong_s,
            expired_grace_s=hub.expired_grace_s,
            max_subscriptions=hub.max_subscriptions,
            version=version,
            node=name,
        )
        services = ConnectionServices(
            extension.commands(commands, admission),
            self.fanout,
            self.stats,
            extension.limits(limits),
            extension.parser(channels.parser(settings.channels)),
            clock.schedule,
            hub.queue_bytes,
            hub.call_timeout_s,
        )
        self.connections = Connections(hub, services, connected, admission, self.canary, codecs)
        self.reader = BrokerReader(broker, self.feed, self._own_message, self.tasks.spawn)
        self.expiry = Expiry(self.topics, self.feed, joins, self.interest, cameras, self.polls)
        self._loops = {
            "broker": self.reader.run,
            "clock": clock.run,
            "walls": lambda: wall_ticks.tick(self.topics, self.fanout, settings.camera.wall_hz),
            "membership": self.membership.run,
            "housekeeping": self.expiry.run,
            "extension": extension.run,
        }

    def _own_message(self, body: bytes) -> None:
        """Redis brought something for this hub alone: commands of a one-way stream, or the
        canary."""
        if not self.emulation.receive(body):
            self.canary.deliver(body)

    def start(self) -> None:
        """Begin, in the running loop."""
        for name, run in self._loops.items():
            self.tasks.spawn(run(), name)

    async def stop(self) -> None:
        """Send everybody away and end everything."""
        await self.connections.drain()
        await self.tasks.close()
        await self.feed.close()
