"""How many dashboards a hub takes, and how fast (pure). Each limit has its own answer, so that
whoever is refused knows what to do.

Per hub, per address and the rate of new connections are checked at the handshake: 503 with
Retry-After, which stock SDKs answer with their back-off. Per user is known only after the token:
close 3504, which is terminal. `now` is monotonic seconds.

The last quarter of the burst is for addresses that do not come often: nobody has shown a token yet,
and one address that knocks without end would keep everybody out.
"""

import math
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec

from actors.core.settings import HubSettings
from actors.core.token_bucket import Bucket
from hub.access.rate_limits import place
from hub.protocol.disconnects import SHUTDOWN, CloseCode

HUB_FULL = "hub"
ADDRESS_FULL = "address"
TOO_FAST = "rate"
USER_FULL = "user"
DRAINING = "draining"
MAX_RETRY_S = 30
RESERVED = 4  # one of so many of the burst is kept
OFTEN = (
    10  # an address comes often that takes more than one of so many, of the rate and of the burst
)
MAX_ADDRESSES = (
    10_000  # whose rate is remembered; beyond that the one that came longest ago is forgotten
)


class Denied(msgspec.Struct, frozen=True):
    """Why not, and after how many seconds to try again."""

    reason: str
    retry_s: int


class Admission:
    """The counts of one hub. `refused`: reason → how often. A connection that was admitted must be
    given back by `left`."""

    def __init__(self, settings: HubSettings, now: float) -> None:
        self._settings = settings
        self._bucket = Bucket(settings.connections_per_s, settings.connections_burst, now)
        self._addresses: Counter[str] = Counter()
        self._rates: OrderedDict[str, Bucket] = OrderedDict()
        self._users: Counter[str] = Counter()
        self._waiting = (
            0.0  # connections refused for their rate and not yet back, as far as the rate tells
        )
        self._waiting_at = now
        self.refused: Counter[str] = Counter()

    def check(self, address: str, open_now: int, now: float, *, draining: bool) -> Denied | None:
        """May one more connection of `address` be opened while `open_now` are?"""
        settings = self._settings
        if draining:
            return self._deny(DRAINING, 1)
        if open_now >= settings.max_connections:
            return self._deny(HUB_FULL, 5)
        if self._addresses[place(address)] >= settings.max_connections_per_address:
            return self._deny(ADDRESS_FULL, 10)
        kept = (
            settings.connections_burst // RESERVED if self._comes_often(place(address), now) else 0
        )
        if self._bucket.left(now) <= kept or not self._bucket.draw(now):
            return self._deny(TOO_FAST, self._queue(now))
        return None

    def entered(self, address: str) -> None:
        """A connection was opened."""
        self._addresses[place(address)] += 1

    def named(self, user: str) -> bool:
        """A connection is `user`'s; False (nothing is counted then) when there are too many of them
        already."""
        if self._users[user] >= self._settings.max_connections_per_user:
            self.refused[USER_FULL] += 1
            return False
        self._users[user] += 1
        return True

    def left(self, address: str, user: str | None) -> None:
        """A connection has ended; `user` when :meth:`named` said True."""
        _less(self._addresses, place(address))
        if user is not None:
            _less(self._users, user)

    def _comes_often(self, address: str, now: float) -> bool:
        settings = self._settings
        bucket = self._rates.get(address)
        if bucket is None:
            bucket = Bucket(
                settings.connections_per_s / OFTEN,
                max(1.0, settings.connections_burst / OFTEN),
                now,
            )
            self._rates[address] = bucket
            if len(self._rates) > MAX_ADDRESSES:
                self._rates.popitem(last=False)
        self._rates.move_to_end(address)
        return not bucket.draw(now)

    def _queue(self, now: float) -> int:
        """Seconds after which the bucket can have served those refused before: the later the
        refusal, the later the return."""
        rate = self._settings.connections_per_s
        self._waiting = max(0.0, self._waiting - (now - self._waiting_at) * rate) + 1
        self._waiting_at = now
        return min(MAX_RETRY_S, 1 + int(self._waiting / rate))

    def _deny(self, reason: str, retry_s: int) -> Denied:
        self.refused[reason] += 1
        return Denied(reason, retry_s)


def _less(counter: Counter[str], key: str) -> None:
    if counter[key] <= 1:
        del counter[key]
    else:
        counter[key] -= 1


T = TypeVar("T")


STEP_S = 0.05  # between two batches


LEAST = 25  # dashboards of a batch: few of them leave at once


RETURN_S = 2.0  # within how many seconds after its close a client is asked to come back


def batches(items: Sequence[T], window_s: float) -> Iterator[Sequence[T]]:
    """`items` in batches that, one each :data:`STEP_S`, take `window_s` seconds at most."""
    steps = max(1, int(window_s / STEP_S))
    size = max(LEAST, math.ceil(len(items) / steps))
    for start in range(0, len(items), size):
        yield items[start : start + size]


def goodbye(share: float) -> CloseCode:
    """3001 with the client's own delay in its reason; `share` in 0..1 is its place in
    :data:`RETURN_S`.

    Stock SDKs reconnect after 3001 with their own jittered back-off and show the reason; a client
    that reads it waits as long as it says.
    """
    return CloseCode(
        SHUTDOWN.code, f"{SHUTDOWN.reason}; reconnect_after_ms={round(share * RETURN_S * 1000)}"
    )
