"""Fan-out: a frame is built once per group and written to every transport of it; all that is due to
one client in one loop turn leaves in one write. There is no coroutine, task or queue per message
per client.

A :class:`Group` is one (channel, view, encoding). Live frames go to whoever can take them; who
cannot is noted as behind and gets the newest frame when its socket drains. Frames of the other
lanes are held in order within the bounds of `hub.fanout.outbox`.
"""

import asyncio
import time
from collections.abc import Callable
from os import write as send

import msgspec

from hub.fanout.latency import LatencyHistogram
from hub.fanout.outbox import RELAPSE_S, THIN_S, Missed, Outbox
from hub.protocol.disconnects import SLOW, CloseCode

NEVER = float("-inf")


class FanoutStats(msgspec.Struct):
    """Counts since the start, for metrics. `drops`: (lane, reason) → messages a client got no copy
    of."""

    deliveries: int = 0
    writes: int = 0
    conflated: int = 0
    held: int = 0
    slow_closed: int = 0
    thinned: int = 0
    drops: dict[tuple[str, str], int] = {}

    def drop(self, kind: str, reason: str, count: int = 1) -> None:
        """Count messages left out."""
        self.drops[kind, reason] = self.drops.get((kind, reason), 0) + count


class Client:
    """One receiver. `write` is the transport's way; `outbox` is there only while the transport
    takes no more.

    `fd` is the socket where the system call may be made directly, which is done unless `through`
    says that the transport may hold bytes that must go first (then `write` looks, and clears
    `through` once it holds none). All that one delivery touches lies in this object.
    """

    __slots__ = (
        "closing",
        "fd",
        "filled_at",
        "outbox",
        "pending",
        "queue_bytes",
        "through",
        "write",
    )

    def __init__(self, write: Callable[[bytes], None], queue_bytes: int) -> None:
        self.write = write
        self.fd = -1
        self.through = True
        self.queue_bytes = queue_bytes
        self.pending: bytes | list[bytes] | None = None
        self.outbox: Outbox | None = None
        self.filled_at = NEVER  # when the socket was full the last time, monotonic seconds
        self.closing = False

    def drop(self, close: CloseCode) -> None:
        """End the connection with a close code."""
        raise NotImplementedError

    def unsubscribe(self, channel: str, close: CloseCode) -> None:
        """End one subscription from this side."""
        raise NotImplementedError


class Group:
    """The clients that get the same bytes. `latest` makes the frame a client needs that has missed
    some, None where there is none; it gets what was missed, None when nothing was. `kind` is the
    lane, for counts."""

    __slots__ = ("key", "kind", "latest", "members")

    def __init__(
        self, key: object, latest: Callable[[Missed | None], bytes | None], kind: str = "live"
    ) -> None:
        self.key = key
        self.kind = kind
        self.members: dict[Client, None] = {}
        self.latest = latest


class Fanout:
    """Delivers frames to groups and clients. `now` is monotonic seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.stats = FanoutStats()
        self._now = now
        self.blocked: dict[Client, None] = {}
        self.waits = LatencyHistogram()  # from the first message of a loop turn to the writes
        self._dirty: list[Client] = []
        self._since = 0.0

    def live(self, group: Group, frame: bytes) -> None:
        """Deliver a frame that supersedes the ones before it."""
        dirty = self._dirty
        was_idle = not dirty
        stats = self.stats
        for client in group.members:
            if client.outbox is not None:
                client.outbox.miss(group)
                stats.conflated += 1
                continue
            pending = client.pending
            if pending is None:
                client.pending = frame
                dirty.append(client)
            elif isinstance(pending, list):
                pending.append(frame)
            else:
                client.pending = [pending, frame]
        stats.deliveries += len(group.members)
        if was_idle and dirty:
            self._since = self._now()
            asyncio.get_running_loop().call_soon(self.flush)

    def ordered(self, group: Group, frame: bytes) -> None:
        """Deliver a frame that everybody must get, in order."""
        for client in list(group.members):
            self.send(client, frame)

    def send(self, client: Client, frame: bytes) -> None:
        """Deliver a frame to one client, in order with everything sent to it this way."""
        self.stats.deliveries += 1
        if client.outbox is not None and client.outbox.since is not None:
            self._hold(client, frame)
            return
        pending = client.pending
        if pending is None:
            client.pending = frame
            if not self._dirty:
                self._since = self._now()
                asyncio.get_running_loop().call_soon(self.flush)
            self._dirty.append(client)
        elif isinstance(pending, list):
            pending.append(frame)
        else:
            client.pending = [pending, frame]

    def flush(self) -> None:
        """Write what is due; once per loop turn."""
        dirty, self._dirty = self._dirty, []
        for client in dirty:
            pending = client.pending
            client.pending = None
            if client.closing or pending is None:
                continue
            data = pending if isinstance(pending, bytes) else b"".join(pending)
            if client.through:
                client.write(data)
                continue
            try:
                sent = send(client.fd, data)
            except OSError:  # full, or broken: then the transport meets the same error and tells it
                sent = 0
            if sent != len(data):
                client.through = True
                client.write(data[sent:])
        self.stats.writes += len(dirty)
        if dirty:
            self.waits.observe(self._now() - self._since)

    def flush_client(self, client: Client) -> None:
        """Write what is due to one client at once (before it is closed)."""
        pending, client.pending = client.pending, None
        if pending is not None and not client.closing:
            client.write(pending if isinstance(pending, bytes) else b"".join(pending))

    def block(self, client: Client) -> None:
        """The transport is above its mark."""
        now = self._now()
        if client.outbox is None:
            client.outbox = Outbox(client.queue_bytes, now)
            self.blocked[client] = None
        client.outbox.filled(now)

    def unblock(self, client: Client) -> None:
        """The transport has drained: first what was held, then the newest frame of every group the
        client is behind on."""
        outbox = client.outbox
        if outbox is None or client.closing:
            self.forget(client)
            return
        now = self._now()
        relapsed, client.filled_at = now - client.filled_at < RELAPSE_S, now
        if outbox.drained(now, relapsed) and relapsed:
            self.stats.thinned += 1
        self.flush_client(client)  # older than what was held
        if outbox.queue and outbox.since is None:
            client.write(outbox.take())
        self._catch_up(client, outbox)

    def serve(self) -> None:
        """Give thinned clients what is due to them, and trust those again that have kept up; a few
        times a second."""
        now = self._now()
        for client in list(self.blocked):
            outbox = client.outbox
            if (
                outbox is not None
                and outbox.since is None
                and now >= min(outbox.turn, outbox.thin_until)
            ):
                outbox.turn = now + THIN_S
                self._catch_up(client, outbox)

    def _catch_up(self, client: Client, outbox: Outbox) -> None:
        """The newest frame of every group it is behind on; off the ladder when nothing holds it
        there."""
        for group in list(outbox.behind):
            if outbox.since is not None:  # full again by what was just written
                return
            missed = outbox.behind.pop(group)
            if (
                isinstance(group, Group)
                and client in group.members
                and (frame := group.latest(missed)) is not None
            ):
                self._count(group, missed, missed.count - 1)
                self.stats.deliveries += 1
                client.write(frame)
        if outbox.since is None and self._now() >= outbox.thin_until:
            client.outbox = None
            self.blocked.pop(client, None)

    def forget(self, client: Client) -> None:
        """The connection has ended."""
        self.blocked.pop(client, None)
        if client.outbox is not None:
            for group, missed in client.outbox.behind.items():
                if isinstance(group, Group):
                    self._count(group, missed, missed.count)
            if client.outbox.queue:
                self.stats.drop("ordered", "closed", len(client.outbox.queue))
        client.pending = client.outbox = None

    def _count(self, group: Group, missed: Missed, lost: int) -> None:
        if lost:
            self.stats.drop(group.kind, missed.reason, lost)

    def close_overdue(self) -> None:
        """Close who has not taken its oldest held message for too long."""
        now = self._now()
        for client in [
            client
            for client in self.blocked
            if client.outbox is not None and client.outbox.overdue(now)
        ]:
            self._too_slow(client)

    def _too_slow(self, client: Client) -> None:
        self.stats.slow_closed += 1
        client.drop(SLOW)

    def _hold(self, client: Client, frame: bytes) -> None:
        outbox = client.outbox
        if outbox is None or client.closing:
            return
        if outbox.hold(frame, self._now()):
            self.stats.held += 1
            return
        self._too_slow(client)
