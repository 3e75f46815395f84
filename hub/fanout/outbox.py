"""What is held for a client whose socket takes no more (pure).

The ladder for a slow client, rung by rung:

1. *conflate*: while the socket is full its live lanes keep no frames, only which groups it is
   behind on and how many frames it missed; when the socket drains it gets the newest frame of each;
2. *thin*: whoever fills its socket again within :data:`RELAPSE_S` gets live frames at most every
   :data:`THIN_S` until it has kept up for :data:`RELAPSE_S`;
3. *mark*: the first frame after missed ones says on its channel how many were left out, and why;
4. *bound*: everything else is held in order, up to a bound in bytes and in age;
5. *close*: beyond the bound, or when the socket has taken nothing for :data:`STUCK_S`, with 3008;
   the client recovers from its offset.

A client that keeps up has no outbox at all.
"""

from collections import deque
from collections.abc import Hashable

import msgspec

MAX_AGE_S = 15.0  # how long the oldest held message may wait
STUCK_S = 20.0  # how long a socket may stay full, whatever is held
# a socket full again so soon thins the client's live lanes, and so long it must keep up to be
# trusted again
RELAPSE_S = 10.0
THIN_S = 1.0  # between two live frames of one group for a thinned client
SLOW = "slow"
THINNED = "thinned"


class Missed(msgspec.Struct):
    """Live frames of one group that were left out for a client. The newest of them is what it gets
    when its turn comes."""

    count: int = 0
    reason: str = SLOW


class Outbox:
    """Held frames of one client on the ladder. `limit` is in bytes; times are monotonic seconds.

    `since` is when the socket filled up, None while it takes bytes (a thinned client's does).
    `thin_until` is when a thinned client is trusted again, `turn` when it gets its next live
    frames.
    """

    __slots__ = ("behind", "bytes", "limit", "queue", "since", "thin_until", "turn")

    def __init__(self, limit: int, since: float | None = None) -> None:
        self.limit = limit
        self.queue: deque[tuple[float, bytes]] = deque()
        self.bytes = 0
        self.behind: dict[Hashable, Missed] = {}
        self.since = since
        self.thin_until = 0.0
        self.turn = 0.0

    def miss(self, group: Hashable) -> None:
        """Leave a live frame of `group` out."""
        missed = self.behind.get(group)
        if missed is None:
            missed = self.behind[group] = Missed()
        missed.count += 1
        missed.reason = THINNED if self.since is None else SLOW

    def filled(self, now: float) -> None:
        """The socket takes no more (again)."""
        if self.since is None:
            self.since = now

    def drained(self, now: float, relapsed: bool) -> bool:
        """The socket takes bytes again; whether the client's live lanes are thinned from now on."""
        self.since = None
        if relapsed:
            self.thin_until, self.turn = now + RELAPSE_S, now + THIN_S
        return now < self.thin_until

    def hold(self, frame: bytes, now: float) -> bool:
        """Keep `frame` in order; False when that would go beyond the bytes or the age allowed
        (nothing is kept then)."""
        if self.bytes + len(frame) > self.limit or self.overdue(now):
            return False
        self.queue.append((now, frame))
        self.bytes += len(frame)
        return True

    def overdue(self, now: float) -> bool:
        """Whether the oldest held frame has waited too long, or the socket has taken nothing for
        too long."""
        return bool(self.queue and now - self.queue[0][0] > MAX_AGE_S) or (
            self.since is not None and now - self.since > STUCK_S
        )

    def age(self, now: float) -> float:
        """Seconds the oldest held frame has waited, or the socket has been full; 0 when neither."""
        return max(
            now - self.queue[0][0] if self.queue else 0.0,
            now - self.since if self.since is not None else 0.0,
        )

    def take(self) -> bytes:
        """All held frames as one piece of bytes; the queue is empty afterwards."""
        data = b"".join(frame for _, frame in self.queue)
        self.queue.clear()
        self.bytes = 0
        return data
