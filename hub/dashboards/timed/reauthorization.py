"""Access is not asked once: a changed policy, a revoked token, changed tags or a decision whose
time has come reaches open sockets."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from actors.core.errors import EyrieError, Unavailable
from hub.access.authorization import Access
from hub.access.redaction import View
from hub.dashboards import rejections
from hub.dashboards.connection import Dashboard
from hub.fanout.fanout import Fanout
from hub.fanout.topics import Topic
from hub.protocol import disconnects
from hub.protocol.channels import Channel
from policy.identity.revocations import Revocations

log = logging.getLogger(__name__)

TRIES = 5  # times a subscription is decided afresh because policy or cameras changed meanwhile
SLICE = 100  # dashboards asked about at the same time

T = TypeVar("T")
Spawn = Callable[[Coroutine[Any, Any, None], str], object]


class Reviews:
    """Asks again. `turn` grows with every policy: what was decided under an older one is asked
    again once it has led to something."""

    def __init__(
        self,
        access: Access,
        topics: dict[str, Topic],
        dashboards: dict[Dashboard, None],
        fanout: Fanout,
        spawn: Spawn,
        exempt: Callable[[Dashboard], bool],
    ) -> None:
        """`exempt`: who is not the policy's business (`hub.dashboards.extension`)."""
        self.turn = 0
        self._access = access
        self._topics = topics
        self._dashboards = dashboards
        self._fanout = fanout
        self._spawn = spawn
        self._until: dict[tuple[Dashboard, str], float] = {}
        self._last: dict[
            Dashboard, asyncio.Future[None]
        ] = {}  # the newest review of each: what is asked last is also done last
        self._exempt = exempt

    def revoked(self, revocations: Revocations) -> None:
        """Close the sockets whose token no longer holds."""
        self._access.use(revocations)
        for dashboard in list(self._dashboards):
            if dashboard.principal is not None and not revocations.holds(dashboard.principal):
                dashboard.drop(disconnects.REVOKED)

    def policy_changed(self, revision: str) -> None:
        """Another revision is in force: ask again about everybody."""
        self.turn += 1
        self._spawn(
            self._each(list(self._dashboards), f"policy {revision[:12]}"),
            f"review of policy {revision[:12]}",
        )

    def cameras_changed(self, sites: set[str], cameras: set[str], then: Callable[[], None]) -> None:
        """`cameras`, which belong to `sites`, are new, gone or changed: ask again about who watches
        them or a wall they are on, `then` go on."""
        self.turn += 1
        concerned = [
            d
            for d in self._dashboards
            if any(_shows(channel, sites, cameras) for channel in d.session.channels.values())
        ]

        async def each() -> None:
            await self._each(concerned, f"{len(cameras)} changed cameras")
            then()

        self._spawn(each(), "review of changed cameras")

    async def settled(self, work: Callable[[], Awaitable[T]], undo: Callable[[], None]) -> T:
        """What `work` makes of decisions that are no older than the newest turn, so that nobody
        starts with a view that a review has left behind. Raises Unavailable after `TRIES`."""
        for _ in range(TRIES):
            turn = self.turn
            made = await work()
            if turn == self.turn:
                return made
            undo()
        raise Unavailable("what may be seen changes faster than policy can be asked")

    def if_older(self, dashboard: Dashboard, turn: int) -> None:
        """The policy may have changed while a decision was under way; the review of everybody has
        not seen what it led to."""
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
        for dashboard in {
            dashboard for (dashboard, _), until in self._until.items() if now >= until
        }:
            for key in [key for key in self._until if key[0] is dashboard]:
                del self._until[key]
            self._spawn(self.one(dashboard), "review of one dashboard")

    async def one(self, dashboard: Dashboard) -> None:
        """What may it see now? Denied channels end, changed views change; without a decision there
        is no access."""
        before, done = self._last.get(dashboard), asyncio.get_running_loop().create_future()
        self._last[dashboard] = done
        try:
            if before is not None:
                await asyncio.shield(before)
            await self._one(dashboard)
        except Exception:
            log.exception(
                "the review of dashboard %s has failed; it is closed", dashboard.session.client
            )
            dashboard.drop(disconnects.POLICY_UNAVAILABLE)
        finally:
            done.set_result(None)
            if self._last.get(dashboard) is done:
                del self._last[dashboard]

    async def _one(self, dashboard: Dashboard) -> None:
        principal = dashboard.principal
        if principal is None or dashboard.closing or self._exempt(dashboard):
            return
        try:
            await self._access.require_connect(principal)
        except EyrieError as error:
            dashboard.drop(rejections.goodbye(error) or disconnects.POLICY_UNAVAILABLE)
            return
        for name, channel in list(dashboard.session.channels.items()):
            try:
                view, until = await self._access.view(
                    "subscribe", principal, channel, dashboard.asked(name)
                )
            except EyrieError as error:
                log.info("dashboard %s loses %s: %s", dashboard.session.client, name, error.detail)
                dashboard.unsubscribe(name, disconnects.UNSUBSCRIBED_STATE_INVALIDATED)
                continue
            self._change_view(dashboard, name, view)
            self.ask_again_at(dashboard, name, until)

    async def _each(self, pending: list[Dashboard], why: str) -> None:
        for start in range(0, len(pending), SLICE):
            await asyncio.gather(
                *(self.one(dashboard) for dashboard in pending[start : start + SLICE])
            )
        log.info("%s: %d dashboards asked about again", why, len(pending))

    def _change_view(self, dashboard: Dashboard, channel: str, view: View) -> None:
        topic, group = self._topics.get(channel), dashboard.groups.get(channel)
        if topic is None or group is None or group.key == (channel, view, dashboard.codec.name):
            return
        topic.remove(dashboard, group, time.monotonic())
        dashboard.groups[channel] = moved = topic.add(dashboard, view, dashboard.codec)
        if (frame := moved.latest(None)) is not None:
            self._fanout.send(dashboard, frame)
        topic.follow(moved, self._fanout)


def _shows(channel: Channel, sites: set[str], cameras: set[str]) -> bool:
    return channel.scope == "fleet" or channel.target in (
        cameras if channel.scope == "camera" else sites
    )
