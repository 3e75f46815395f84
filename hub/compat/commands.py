"""Commands of the compatibility profile: those of connections with a loose token, and of plain
channels. Everything else is the hub's."""

import time

from actors.core.errors import Expired, NotFound
from hub.compat.plain_channels import PlainChannels
from hub.dashboards.actions import (
    Action,
    Authorize,
    Fail,
    Join,
    Operate,
    ReadHistory,
    Renew,
    Shut,
)
from hub.dashboards.connection import Commands, Dashboard
from hub.dashboards.connection_limits import Admission
from hub.protocol import disconnects, errors


class CompatibleCommands:
    """`hub.dashboards.connection.Commands` before those of the hub, `own`."""

    def __init__(self, plain: PlainChannels, own: Commands, admission: Admission) -> None:
        self._plain = plain
        self._own = own
        self._admission = admission

    async def authorize(self, dashboard: Dashboard, action: Authorize) -> list[Action]:
        """By a loose token, with its server-side subscriptions; the hub is asked about any
        other."""
        try:
            found = self._plain.principal(action.request.token)
        except Expired:
            return [Fail(action.id, errors.TOKEN_EXPIRED)]
        if found is None:
            return await self._own.authorize(dashboard, action)
        principal, claims, ttl_s = found
        if not self._admission.named(principal.sub):
            return [Shut(disconnects.CONNECTION_LIMIT)]
        dashboard.principal = principal
        if len(claims.given) > dashboard.session.limits.max_subscriptions:
            return [Fail(action.id, errors.LIMIT_EXCEEDED)]
        try:
            subs = await self._plain.entered(dashboard, claims, action.request.subs)
        except NotFound:
            return [Fail(action.id, errors.UNKNOWN_CHANNEL)]
        if dashboard.closing:
            return []
        if any(sub.was_recovering and not sub.recovered for sub in subs.values()):
            return [Shut(disconnects.INSUFFICIENT_STATE)]
        return dashboard.session.connected(action.id, ttl_s, time.monotonic(), subs)

    async def renew(self, dashboard: Dashboard, action: Renew) -> list[Action]:
        """A newer token of the same user."""
        if dashboard.principal is None or not self._plain.knows(dashboard):
            return await self._own.renew(dashboard, action)
        try:
            found = self._plain.principal(action.token)
        except Expired:
            return [Fail(action.id, errors.TOKEN_EXPIRED)]
        if found is None or found[0].sub != dashboard.principal.sub:
            return [Shut(disconnects.INVALID_TOKEN)]
        dashboard.principal = found[0]
        return dashboard.session.renewed(action.id, found[2], time.monotonic())

    async def join(self, dashboard: Dashboard, action: Join) -> list[Action]:
        plain = action.channel.lane == "plain" and dashboard.principal is not None
        return await (self._plain if plain else self._own).join(dashboard, action)

    async def history(self, dashboard: Dashboard, action: ReadHistory) -> list[Action]:
        plain = action.channel.lane == "plain" and dashboard.principal is not None
        return await (self._plain if plain else self._own).history(dashboard, action)

    async def operate(self, dashboard: Dashboard, action: Operate) -> list[Action]:
        """Only plain channels have operations."""
        return await self._plain.operate(dashboard, action)

    def leave(self, dashboard: Dashboard, channel: str) -> None:
        self._plain.leave(dashboard, channel)
        self._own.leave(dashboard, channel)

    def ended(self, dashboard: Dashboard) -> None:
        self._own.ended(dashboard)
        self._plain.left(dashboard)
