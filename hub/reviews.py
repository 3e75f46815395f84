"""Access is not asked once: a changed policy, a revoked token or a decision whose time has come reaches open sockets."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from actors.core.errors import EyrieError, Forbidden
from hub import close_codes
from hub.access import Access
from hub.dashboard import Dashboard
from hub.fanout import Fanout
from hub.topics import Topic
from hub.views import View
from policy.revocations import Revocations

log = logging.getLogger(__name__)

SLICE = 100  # dashboards asked about at the same time

Spawn = Callable[[Coroutine[Any, Any, None], str], None]


class Reviews:
    """Asks again. `turn` grows with every policy: what was decided under an older one is asked again once it has led to something."""

    def __init__(self, access: Access, topics: dict[str, Topic], dashboards: dict[Dashboard, None], fanout: Fanout, spawn: Spawn) -> None:
        self.turn = 0
        self._access = access
        self._topics = topics
        self._dashboards = dashboards
        self._fanout = fanout
        self._spawn = spawn
        self._until: dict[tuple[Dashboard, str], float] = {}
        self.exempt: Callable[[Dashboard], bool] = lambda _: False  # who is not the policy's business (`hub.loose_admission`)

    def revoked(self, revocations: Revocations) -> None:
        """Close the sockets whose token no longer holds."""
        self._access.revocations = revocations
        for dashboard in list(self._dashboards):
            if dashboard.principal is not None and not revocations.holds(dashboard.principal):
                dashboard.drop(close_codes.REVOKED)

    def policy_changed(self, revision: str) -> None:
        """Another revision is in force: ask again about everybody."""
        self.turn += 1
        self._spawn(self._all(revision), f"review of policy {revision[:12]}")

    def if_older(self, dashboard: Dashboard, turn: int) -> None:
        """The policy may have changed while a decision was under way; the review of everybody has not seen what it led to."""
        if turn != self.turn:
            self._spawn(self.one(dashboard), "review of one dashboard")

    def ask_again_at(self, dashboard: Dashboard, channel: str, until: float | None) -> None:
        """A decision holds until then (seconds since 1970), None: as long as its policy."""
        if until is not None and channel in dashboard.groups:
            self._until[dashboard, channel] = until

    def forget(self, dashboard: Dashboard, channel: str) -> None:
        """The subscription has ended."""
        self._until.pop((dashboard, channel), None)

    def ask_due(self) -> None:
        """Ask again about whoever has a decision whose time is over."""
        now = self._access.now_s()
        for dashboard in {dashboard for (dashboard, _), until in self._until.items() if now >= until}:
            for key in [key for key in self._until if key[0] is dashboard]:
                del self._until[key]
            self._spawn(self.one(dashboard), "review of one dashboard")

    async def one(self, dashboard: Dashboard) -> None:
        """What may it see now? Denied channels end, changed views change; without a decision there is no access."""
        principal = dashboard.principal
        if principal is None or dashboard.closing or self.exempt(dashboard):
            return
        try:
            await self._access.require_connect(principal)
        except EyrieError as error:
            dashboard.drop(close_codes.PERMISSION_DENIED if isinstance(error, Forbidden) else close_codes.POLICY_UNAVAILABLE)
            return
        for name, channel in list(dashboard.session.channels.items()):
            try:
                view, until = await self._access.view("subscribe", principal, channel, dashboard.wish(name))
            except EyrieError as error:
                log.info("dashboard %s loses %s: %s", dashboard.session.client, name, error.detail)
                dashboard.unsubscribe(name, close_codes.UNSUBSCRIBED_STATE_INVALIDATED)
                continue
            self._change_view(dashboard, name, view)
            self.ask_again_at(dashboard, name, until)

    async def _all(self, revision: str) -> None:
        pending = list(self._dashboards)
        for start in range(0, len(pending), SLICE):
            asked = pending[start : start + SLICE]
            for dashboard, ended in zip(asked, await asyncio.gather(*map(self.one, asked), return_exceptions=True), strict=True):
                if isinstance(ended, Exception):  # nobody foresaw it: the others are asked all the same, and this one comes again
                    log.error("dashboard %s: its review failed", dashboard.session.client, exc_info=ended)
                    dashboard.drop(close_codes.INTERNAL_ERROR)
        log.info("policy %s: %d dashboards asked about again", revision[:12], len(pending))

    def _change_view(self, dashboard: Dashboard, channel: str, view: View) -> None:
        topic, group = self._topics.get(channel), dashboard.groups.get(channel)
        if topic is None or group is None or group.key == (channel, view, dashboard.codec.name):
            return
        topic.remove(dashboard, group, time.monotonic())
        dashboard.groups[channel] = moved = topic.add(dashboard, view, dashboard.codec)
        if (frame := moved.latest(None)) is not None:
            self._fanout.send(dashboard, frame)
