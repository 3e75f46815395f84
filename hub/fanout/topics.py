"""Topics: the channels somebody on this hub is subscribed to, and the groups of clients that
get the same bytes.

A message is encoded once per (view, encoding), however many clients listen.
"""

import asyncio
from collections.abc import Callable

from hub.access.redaction import CameraRules, View
from hub.fanout.fanout import Client, Fanout, Group
from hub.fanout.joining import Joining
from hub.fanout.outbox import Missed
from hub.fanout.recovery import Item
from hub.fanout.seen_positions import position
from hub.fanout.streams import TopicPosition
from hub.fanout.walls import WallFeed
from hub.protocol.channels import Channel
from hub.protocol.disconnects import UNSUBSCRIBED_INSUFFICIENT_STATE
from hub.protocol.messages import Codec

Render = Callable[
    [View], tuple[bytes, int] | None
]  # a view of the newest message: (JSON, offset), None when there is none
Again = Callable[
    [View], float | None
]  # when something newer than that may be shown (monotonic seconds), None when there is nothing


def _never(view: View) -> float | None:
    """Nothing is held back."""
    return None


class Members(Group):
    """The clients of a topic with one view and one encoding. `due` is when a view with a rate limit
    may be sent again, monotonic."""

    __slots__ = ("codec", "due", "timer", "topic", "view")

    def __init__(self, topic: "Topic", view: View, codec: Codec) -> None:
        super().__init__((topic.channel.name, view, codec.name), self._newest, topic.channel.lane)
        self.topic = topic
        self.view = view
        self.codec = codec
        self.due = 0.0
        self.timer: asyncio.TimerHandle | None = None

    def frame(self, body: bytes, offset: int, tags: dict[str, str] | None = None) -> bytes:
        """A publication of the topic's channel as one websocket frame."""
        return self.codec.frame(
            (self.codec.publication(self.topic.channel.name, body, offset, tags),)
        )

    def _newest(self, missed: Missed | None) -> bytes | None:
        shown = self.topic.render(self.view)
        return None if shown is None else self.frame(*shown, loss(missed))


def loss(missed: Missed | None) -> dict[str, str] | None:
    """The tags of a publication that follows ones its client got no copy of: how many, and why
    (``slow``, ``thinned``)."""
    return (
        None
        if missed is None or missed.count <= 1
        else {"lost": str(missed.count - 1), "reason": missed.reason}
    )


class Topic:
    """One channel. `again`: what a rate of the policy holds back. `joining` are the buffers of
    clients whose subscribe is under way; `idle_since` is set while nobody is there."""

    __slots__ = (
        "again",
        "channel",
        "groups",
        "idle_since",
        "joining",
        "render",
        "site",
        "stream",
        "wall",
    )

    def __init__(
        self,
        channel: Channel,
        site: str,
        render: Render,
        *,
        wall: WallFeed | None = None,
        idle_since: float = 0.0,
    ) -> None:
        self.again: Again = _never
        self.channel = channel
        self.site = site
        self.render = render
        self.wall = wall
        self.stream = TopicPosition()
        self.groups: dict[tuple[View, str], Members] = {}
        self.joining: Joining[Item] = Joining()
        self.idle_since: float | None = idle_since

    def add(self, client: Client, view: View, codec: Codec) -> Members:
        """Put `client` in the group of `view`."""
        group = self.groups.get((view, codec.name))
        if group is None:
            group = self.groups[view, codec.name] = Members(self, view, codec)
        group.members[client] = None
        self.idle_since = None
        return group

    def remove(self, client: Client, group: Group, now: float) -> None:
        """Take `client` out of its group; an empty group is forgotten."""
        group.members.pop(client, None)
        if (
            isinstance(group, Members)
            and not group.members
            and self.groups.get((group.view, group.codec.name)) is group
        ):
            del self.groups[group.view, group.codec.name]
            if group.timer is not None:
                group.timer.cancel()
        if not self.groups and not self.joining:
            self.idle_since = now

    def show(self, fanout: Fanout, now: float) -> None:
        """Deliver the newest live message to every group, each encoded once."""
        shown: dict[View, tuple[bytes, int] | None] = {}
        for group in self.groups.values():
            if group.view.max_hz is not None and not self._may(group, fanout, now):
                continue
            if group.view not in shown:
                shown[group.view] = self.render(group.view)
            if (message := shown[group.view]) is not None:
                fanout.live(group, group.frame(*message))
            self.follow(group, fanout)

    def show_wall(self, fanout: Fanout, changed: list[str]) -> None:
        """Deliver a tick of a wall: one message per (excluded cameras, hidden classes, rules of
        cameras). A group with a rate limit gets whole walls at its own pace."""
        wall = self.wall
        if wall is None:
            return
        now = asyncio.get_running_loop().time()
        bodies: dict[tuple[frozenset[str], tuple[str, ...], CameraRules], bytes | None] = {}
        for group in self.groups.values():
            view = group.view
            if view.max_hz is not None:
                if view.exclude and view.exclude.issuperset(changed):
                    continue
                if self._may(group, fanout, now) and (frame := group.latest(None)) is not None:
                    fanout.live(group, frame)
                continue
            key = (view.exclude, view.redact, view.rules)
            if key not in bodies:
                bodies[key] = wall.message(changed, view, now, full=False)
            if (body := bodies[key]) is not None:
                fanout.live(group, group.frame(body, wall.tick))

    def show_whole(self, fanout: Fanout, gone: str) -> None:
        """Deliver the whole wall, beside its ticks, to every group that may have seen the camera
        `gone`: no summary can say that."""
        if self.wall is None:
            return
        self.wall.count(asyncio.get_running_loop().time())
        for group in self.groups.values():
            if gone not in group.view.exclude and (frame := group.latest(None)) is not None:
                fanout.live(group, frame)

    def pass_on(
        self,
        fanout: Fanout,
        item: Item,
        render: Callable[[bytes, tuple[str, ...]], bytes],
        *,
        camera: str,
        numbered: bool = True,
    ) -> None:
        """Deliver one event of `camera` to every group that may see it, and to who is just
        joining."""
        self.joining.publish(item)
        bodies: dict[tuple[str, ...], bytes] = {}
        seen = 0
        for group in list(
            self.groups.values()
        ):  # whoever is too slow is closed by this, and its group may end with it
            if camera in group.view.exclude:
                continue
            redact = group.view.redact_of(camera)
            if redact not in bodies:
                bodies[redact] = render(item.body, redact)
            offset = item.offset if numbered else 0
            if offset and group.view.exclude:
                offset = seen = seen or position(item.body)
            fanout.ordered(group, group.frame(bodies[redact], offset))

    def evict(self) -> None:
        """End the subscriptions of everybody here with 2500: the stream cannot go on, and they
        recover from their own offset."""
        for client in [client for group in self.groups.values() for client in group.members]:
            client.unsubscribe(self.channel.name, UNSUBSCRIBED_INSUFFICIENT_STATE)

    def _may(self, group: Members, fanout: Fanout, now: float) -> bool:
        """Thin a rate-limited group: at once when its time has come, else once when it comes."""
        limit = group.view.max_hz
        if limit is None or group.timer is not None:
            return limit is None
        if now >= group.due:
            group.due = now + 1.0 / limit
            return True

        self._later(group, fanout, group.due)
        return False

    def follow(self, group: Members, fanout: Fanout) -> None:
        """What this group was shown may be older than what there is, by the policy's rate: show it
        the newest when that is due."""
        if (
            group.view.limit_hz is not None
            and group.timer is None
            and (at := self.again(group.view)) is not None
        ):
            self._later(group, fanout, max(at, group.due))

    def _later(self, group: Members, fanout: Fanout, at: float) -> None:
        loop = asyncio.get_running_loop()

        def late() -> None:
            group.timer = None
            group.due = max(group.due, loop.time()) + 1.0 / (group.view.max_hz or 1.0)
            if group.members and (frame := group.latest(None)) is not None:
                fanout.live(group, frame)
                self.follow(group, fanout)

        group.timer = loop.call_at(at, late)
