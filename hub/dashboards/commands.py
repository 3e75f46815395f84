"""What a hub makes of its dashboards' commands: who connects, what they subscribe to, what they
read.

It owns no task: whatever waits (a decision, a read) belongs to the connection that asked for it.
"""

import logging
import time
from functools import partial

from actors.core.errors import EyrieError, Forbidden, NotFound
from hub.access import subscription_options
from hub.access.authorization import Access
from hub.access.subscription_options import NONE, SubscriptionOptions
from hub.dashboards import rejections
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
from hub.dashboards.connection import ConnectionStats, Dashboard
from hub.dashboards.connection_limits import Admission
from hub.dashboards.subscribe import Joins
from hub.dashboards.timed.canary import CanaryConnection
from hub.dashboards.timed.reauthorization import Reviews
from hub.fanout.recovery import outcome
from hub.fanout.topics import Topic
from hub.protocol import disconnects, errors
from hub.protocol.messages import SubscribeResult
from policy.identity.principal import Principal

log = logging.getLogger(__name__)

CANARY_TTL_S = 86_400.0


class HubCommands:
    """`hub.dashboards.connection.Commands`. `topics` and `connected` are shared with the node."""

    def __init__(
        self,
        access: Access,
        joins: Joins,
        reviews: Reviews,
        topics: dict[str, Topic],
        connected: dict[Dashboard, None],
        *,
        admission: Admission,
        stats: ConnectionStats,
        canary: CanaryConnection,
    ) -> None:
        self._access = access
        self._joins = joins
        self._reviews = reviews
        self._topics = topics
        self._connected = connected
        self._admission = admission
        self._stats = stats
        self._canary = canary

    async def authorize(self, dashboard: Dashboard, action: Authorize) -> list[Action]:
        access, token = self._access, action.request.token
        if self._canary.is_token(token):
            self._canary.enter(dashboard)
            return dashboard.session.connected(action.id, CANARY_TTL_S, time.monotonic())
        try:
            principal = await access.identify(token, dashboard.address)
            turn = self._reviews.turn
            await access.limiter.charge(("user_connects", principal.sub))
            await access.require_connect(principal)
            access.revocations.require(principal)
        except EyrieError as error:
            log.info("dashboard %s: %s", dashboard.session.client, error.detail)
            return [rejections.refusal(action.id, error)]
        if dashboard.closing or dashboard not in self._connected:
            return []
        if not self._admission.named(principal.sub):
            log.info(
                "dashboard %s: %s has too many connections", dashboard.session.client, principal.sub
            )
            return [Shut(disconnects.CONNECTION_LIMIT)]
        dashboard.principal = principal
        dashboard.session.may_ask = access.limiter.commands(principal.sub)
        self._reviews.if_older(dashboard, turn)
        return dashboard.session.connected(action.id, access.ttl_s(principal), time.monotonic())

    async def renew(self, dashboard: Dashboard, action: Renew) -> list[Action]:
        """The subject may not change; what it may see is asked about again."""
        try:
            principal = await self._access.identify(action.token, dashboard.address)
        except EyrieError as error:
            return [rejections.refusal(action.id, error)]
        if dashboard.principal is None or principal.sub != dashboard.principal.sub:
            return [Shut(disconnects.INVALID_TOKEN)]
        dashboard.principal = principal
        await self._reviews.one(dashboard)
        return dashboard.session.renewed(action.id, self._access.ttl_s(principal), time.monotonic())

    async def join(self, dashboard: Dashboard, action: Join) -> list[Action]:
        if dashboard.principal is None:
            return [Shut(disconnects.BAD_REQUEST)]
        channel = action.channel
        try:
            options = subscription_options.parse(bytes(action.request.data), channel)
            result, until = await self._reviews.settled(
                partial(self._subscribe, dashboard, dashboard.principal, action, options),
                partial(self.leave, dashboard, channel.name),
            )
        except (Forbidden, NotFound) as error:
            log.info(
                "dashboard %s may not have %s: %s",
                dashboard.session.client,
                channel.name,
                error.detail,
            )
            return [Fail(action.id, errors.of(error))]
        if options != NONE:
            dashboard.options = (dashboard.options or {}) | {channel.name: options}
        self._reviews.ask_again_at(dashboard, channel.name, until)
        if result.was_recovering:
            self._stats.recovered(channel.lane, outcome(action.request, result))
        return dashboard.session.joined(action, result, time.monotonic())

    async def _subscribe(
        self,
        dashboard: Dashboard,
        principal: Principal,
        action: Join,
        options: SubscriptionOptions,
    ) -> tuple[SubscribeResult, float | None]:
        access, channel, request = self._access, action.channel, action.request
        if channel.lane == "wall" and channel.scope == "site":
            await access.require_cameras(principal, channel.target)
        view, until = await access.view("subscribe", principal, channel, options)
        recovers = request.recover and channel.lane == "events"
        past = partial(access.past, principal, channel, options) if recovers else None
        return await self._joins.join(dashboard, channel, request, view, past), until

    async def history(self, dashboard: Dashboard, action: ReadHistory) -> list[Action]:
        if dashboard.principal is None:
            return [Shut(disconnects.BAD_REQUEST)]
        channel = action.channel
        told = partial(
            self._access.told, dashboard.principal, channel, options=dashboard.asked(channel.name)
        )
        view = await told(())
        topic = self._topics.get(channel.name)
        if topic is None:
            return [Fail(action.id, errors.PERMISSION_DENIED)]
        found = await self._joins.history(channel, topic.site, action.request, view, told)
        if found is None:
            return [Fail(action.id, errors.UNRECOVERABLE_POSITION)]
        return [SendReply(action.id, "history", found)]

    async def operate(self, dashboard: Dashboard, action: Operate) -> list[Action]:
        """Nothing of the kind is done in this hub's own channels."""
        return [Fail(action.id, errors.NOT_AVAILABLE)]

    def leave(self, dashboard: Dashboard, channel: str) -> None:
        group = dashboard.groups.pop(channel, None)
        topic = self._topics.get(channel)
        if group is not None and topic is not None:
            topic.remove(dashboard, group, time.monotonic())
        self._reviews.forget(dashboard, channel)
        if dashboard.options is not None:
            dashboard.options.pop(channel, None)

    def ended(self, dashboard: Dashboard) -> None:
        for channel in list(dashboard.groups):
            self.leave(dashboard, channel)
