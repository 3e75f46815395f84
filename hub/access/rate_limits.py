"""How often a user, a device or an address may do something, over all hubs together: token buckets
in Redis, asked only at what is rare (a connect, a REST request, a hello, a failed token), many at a
time, never for a frame.

Redis away is no open door: each hub then goes on with its share of every limit, out of buckets that
it has kept all along. Who was refused is not asked about again before a token can be there, so that
a flood costs Redis nothing.
"""

import asyncio
import ipaddress
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Literal, TypeVar

from actors.core.errors import EyrieError, TooMany
from actors.core.settings import LimitsSettings
from actors.core.token_bucket import Bucket
from storage.ports.rate_limits import Ask, Buckets, Grant

log = logging.getLogger(__name__)

T = TypeVar("T")

Scope = Literal[
    "user_connects",
    "user_commands",
    "user_requests",
    "address_requests",
    "device_hellos",
    "device_posts",
    "address_failures",
    "subject_failures",
    "address_expired",
    "address_passed",
    "session_passed",
    "address_passwords",
    "user_passwords",
]
LEASED = {
    "device_hellos": 50,
    "device_posts": 50,
}  # tokens taken at once and spent here: a gateway says hello for each of its cameras
LEASE_S = 1.0  # what is not spent by then is lost, never given twice
MAX_NAMES = 20_000  # of each kind remembered; beyond that the one used longest ago is forgotten
MAX_BATCH = 256  # buckets in one round trip
MAX_WAITING = 10_000  # buckets asked for and not yet answered
# Redis is left alone for so long after it has failed, and a refusal is remembered no longer
AWAY_S = 1.0
_ONE = Grant(1, 0.0)
_TEXTS: dict[str, str] = {
    "user_connects": "connections of this user",
    "user_requests": "requests of this user",
    "address_requests": "requests of this address",
    "device_hellos": "hellos of this device",
    "device_posts": "posts of this device",
    "address_passwords": "sign-ins of this address",
    "user_passwords": "sign-ins of this name",
    "address_failures": "failed tokens of this address",
    "subject_failures": "failed tokens of this name",
    "address_expired": "expired tokens of this address",
    "address_passed": "commands of this address for other hubs",
    "session_passed": "commands of this session for other hubs",
}


class Limiter:
    """The limits of one hub. `refused`: scope → how often; `alone`: answers given without Redis.
    Use it in one event loop only."""

    def __init__(
        self,
        settings: LimitsSettings,
        hubs: int,
        buckets: Buckets | None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`hubs` share each limit while there is no Redis; without `buckets` there never is one."""
        self.refused: Counter[str] = Counter()
        self.alone = 0
        self._settings = settings
        self._hubs = max(1, hubs)
        self._buckets = buckets
        self._now = now
        self._own: OrderedDict[str, Bucket] = OrderedDict()
        self._leases: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._refusals: OrderedDict[str, float] = OrderedDict()
        self._waiting: OrderedDict[tuple[Scope, str], list[asyncio.Future[Grant]]] = OrderedDict()
        self._flying: asyncio.Task[None] | None = None
        self._away_until = float("-inf")

    async def charge(self, *charges: tuple[Scope, str]) -> None:
        """Charge one to each bucket. Raises TooMany with the seconds to wait where one is empty
        (the others are charged all the same)."""
        for scope, name in charges:
            self.check(scope, name)
        for (scope, name), asked in [(charge, self._ask(*charge)) for charge in charges]:
            grant = await asked
            if not grant.given:
                _keep(self._refusals, f"{scope}:{name}", self._now() + min(grant.retry_s, AWAY_S))
                raise self._refuse(scope, grant.retry_s)

    def check(self, scope: Scope, name: str) -> None:
        """Raise TooMany for who was refused a moment ago. Asks nobody and charges nothing."""
        until = self._refusals.get(f"{scope}:{name}")
        if until is not None:
            if (wait_s := until - self._now()) > 0:
                raise self._refuse(scope, wait_s)
            del self._refusals[f"{scope}:{name}"]

    async def failed(self, address: str, subject: str) -> None:
        """Somebody showed a token that is not good. Raises TooMany for one failure too many of this
        address, or of who it says it is.

        Only failures are counted and only failures are refused for it: nobody can lock out a
        neighbour, or a user, by failing for them.
        """
        await self.charge(("address_failures", address))
        if subject:
            await self.charge(("subject_failures", subject))

    async def expired(self, address: str) -> None:
        """Somebody showed a genuine token whose time is over. Raises TooMany for one too many of
        this address: these have a bound of their own, since a wall that slept shows them too."""
        await self.charge(("address_expired", address))

    def commands(self, user: str) -> Callable[[float], bool]:
        """Whether a user may send one more command now (monotonic seconds). Of this hub alone: they
        come too often to ask anybody."""
        bucket = self._own_bucket("user_commands", user, hubs=1)

        def may(now: float) -> bool:
            given = bucket.draw(now) > 0
            self.refused["user_commands"] += not given
            return given

        return may

    def spend(self, scope: Scope, name: str) -> None:
        """Charge one to a bucket of this hub alone. Raises TooMany where it is empty."""
        bucket = self._own_bucket(scope, name, hubs=1)
        if not bucket.draw(self._now()):
            raise self._refuse(scope, bucket.wait_s)

    async def close(self) -> None:
        """End what is in flight; who waits gets the hub's own answer."""
        if self._flying is not None:
            self._flying.cancel()
            await asyncio.gather(self._flying, return_exceptions=True)

    def _refuse(self, scope: Scope, wait_s: float) -> TooMany:
        self.refused[scope] += 1
        return TooMany(f"too many {_TEXTS[scope]}", retry_after_s=max(1.0, wait_s))

    def _ask(self, scope: Scope, name: str) -> asyncio.Future[Grant]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Grant] = loop.create_future()
        if self._spend((scope, name), [answer]):
            return answer
        if (
            self._buckets is None
            or self._now() < self._away_until
            or len(self._waiting) >= MAX_WAITING
        ):
            self._settle((scope, name), [answer], self._by_itself(scope, name, 1))
        else:
            self._waiting.setdefault((scope, name), []).append(answer)
            if self._flying is None:
                self._flying = loop.create_task(self._fly(self._buckets), name="limits")
        return answer

    async def _fly(self, buckets: Buckets) -> None:
        batch: list[tuple[tuple[Scope, str], list[asyncio.Future[Grant]]]] = []
        try:
            while self._waiting:
                batch = [
                    self._waiting.popitem(last=False)
                    for _ in range(min(len(self._waiting), MAX_BATCH))
                ]
                batch = [
                    (key, left)
                    for key, answers in batch
                    if (left := answers[self._spend(key, answers) :])
                ]
                if not batch:
                    continue
                asks = [
                    self._request(scope, name, len(answers)) for (scope, name), answers in batch
                ]
                try:
                    async with asyncio.timeout(self._settings.timeout_s):
                        grants = await buckets.charge(asks)
                except (EyrieError, TimeoutError) as error:
                    if self._away_until == float("-inf"):
                        log.warning(
                            "limits are kept by this hub alone until Redis answers: %s",
                            error or "no answer in time",
                        )
                    self._away_until = self._now() + AWAY_S
                    grants = [
                        self._by_itself(scope, name, len(answers))
                        for (scope, name), answers in batch
                    ]
                else:
                    if self._away_until != float("-inf"):
                        log.info("limits are kept in Redis again")
                    self._away_until = float("-inf")
                    for (scope, name), grant in zip((key for key, _ in batch), grants, strict=True):
                        self._own_bucket(scope, name).draw(self._now(), grant.given)
                for (key, answers), grant in zip(batch, grants, strict=True):
                    self._settle(key, answers, grant)
                batch = []
        finally:
            self._flying = None
            for (scope, name), answers in [*batch, *self._waiting.items()]:
                self._settle((scope, name), answers, self._by_itself(scope, name, len(answers)))
            self._waiting.clear()

    def _request(self, scope: Scope, name: str, wanted: int) -> Ask:
        rate, burst = self._limit(scope)
        return Ask(f"{scope}:{name}", rate, burst, max(wanted, min(LEASED.get(scope, 1), burst)))

    def _spend(self, key: tuple[Scope, str], answers: list[asyncio.Future[Grant]]) -> int:
        """How many of `answers` were given out of what was taken before."""
        name = f"{key[0]}:{key[1]}"
        left, until = self._leases.pop(name, (0, 0.0))
        if self._now() >= until:
            return 0
        for answer in answers[:left]:
            if not answer.done():
                answer.set_result(_ONE)
        if left > len(answers):
            _keep(self._leases, name, (left - len(answers), until))
        return min(left, len(answers))

    def _settle(
        self, key: tuple[Scope, str], answers: list[asyncio.Future[Grant]], grant: Grant
    ) -> None:
        """Who came first gets what there is; what is left over is spent later."""
        for position, answer in enumerate(answers):
            if not answer.done():
                answer.set_result(_ONE if position < grant.given else Grant(0, grant.retry_s))
        if (left := grant.given - len(answers)) > 0:
            _keep(self._leases, f"{key[0]}:{key[1]}", (left, self._now() + LEASE_S))

    def _by_itself(self, scope: Scope, name: str, wanted: int) -> Grant:
        self.alone += wanted
        bucket = self._own_bucket(scope, name)
        return Grant(bucket.draw(self._now(), wanted), bucket.wait_s)

    def _own_bucket(self, scope: Scope, name: str, *, hubs: int = 0) -> Bucket:
        key = f"{scope}:{name}"
        bucket = self._own.get(key)
        if bucket is None:
            rate, burst = self._limit(scope)
            share = hubs or self._hubs
            bucket = Bucket(rate / share, max(1.0, burst / share), self._now())
        _keep(self._own, key, bucket)
        return bucket

    def _limit(self, scope: Scope) -> tuple[float, int]:
        """Tokens a second, and burst."""
        return float(getattr(self._settings, f"{scope}_per_s")), int(
            getattr(self._settings, f"{scope}_burst")
        )


def place(address: str) -> str:
    """What an address is counted as: an IPv6 host has a whole network of 2**64 to itself (RFC 4291,
    2.5.4)."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))
    return str(found)


def _keep(known: OrderedDict[str, T], key: str, value: T) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > MAX_NAMES:
        known.popitem(last=False)
