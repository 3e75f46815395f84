"""The hub's side of Redis: `storage.ports.live.Broker`. One connection that listens, one that
reads.

redis-py's PubSub subscribes again in silence after a loss (reliability reference 0.6), so this one
keeps its own list of subscriptions, renews them itself and says so.
"""

import asyncio
import logging
import math
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError

from actors.core.backoff import bound_s
from actors.core.errors import BadInput, EyrieError, Unavailable
from actors.core.settings import RedisSettings
from storage.ports.epochs import new_epoch
from storage.ports.live import BrokerMessage, LiveState, LiveSummary
from storage.redis import keys
from storage.redis.connection import LOST as LOST_ERRORS
from storage.redis.connection import RedisLink, connect, make_connection, write
from storage.redis.inbox import LOST, RESUBSCRIBED, Inbox
from storage.redis.scripts import call_of, run

PING_S = 0.5  # between pings on the listening connection
MAX_BACKOFF_S = 1.0
CHANNELS_PER_COMMAND = 256
_CANARY = "*"  # in the place of a camera; no id looks like it
_OPERATIONS = "+"  # likewise

_log = logging.getLogger(__name__)


class RedisBroker:
    """`storage.ports.live.Broker`. `rejected` counts payloads that were none of ours,
    `reconnections` how often the connection came back."""

    def __init__(self, settings: RedisSettings, *, name: str, inbox: Inbox | None = None) -> None:
        self._settings = settings
        self._name = name
        self._link = RedisLink(settings, f"{name}:read")
        self.inbox = Inbox() if inbox is None else inbox
        self.rejected = 0
        self.reconnections = 0
        self._wanted: dict[bytes, tuple[str, str | None]] = {}
        self._live: set[bytes] = set()  # confirmed by Redis
        self._owed: Counter[bytes] = Counter()  # replies to come, by channel
        self._changed = asyncio.Event()
        self._tries = 0  # in vain, since the last connection
        self._returning = False  # connected again, not yet told
        self._connection: AbstractConnection | None = None
        self._listener: asyncio.Task[None] | None = None
        self._closed = False

    async def open(self) -> None:
        """Connect and begin to listen. Raises Unavailable or ConfigError; later losses are told by
        notices instead."""
        await self._link.open()
        connection = make_connection(self._settings, f"{self._name}:listen")
        await connect(connection, self._settings.timeout_s)
        self._connection = connection
        self._listener = asyncio.create_task(self._listen(connection), name="redis-broker")

    async def close(self) -> None:
        """Stop listening and give both connections back. Cancelling alone is not enough (see
        `actors.publish_loop.Live.end`)."""
        self._closed = True
        if self._listener is not None:
            self._listener.cancel()
            with suppress(asyncio.CancelledError):
                await self._listener
        await self._link.close()

    async def run(self) -> AsyncIterator[BrokerMessage]:
        while True:
            yield await self.inbox.get()

    async def watch(self, sites: Sequence[str], cameras: Sequence[tuple[str, str]]) -> None:
        await self._follow(_channels(sites, cameras))

    async def watch_operations(self) -> None:
        await self._follow({keys.OPERATIONS.encode(): (keys.CLUSTER, _OPERATIONS)})

    async def _follow(self, channels: dict[bytes, tuple[str, str | None]]) -> None:
        new = [channel for channel in channels if channel not in self._wanted]
        self._wanted.update(channels)
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                await self._send("SUBSCRIBE", new)
                while any(
                    channel in self._wanted and channel not in self._live for channel in channels
                ):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            raise Unavailable(
                "Redis has not confirmed the subscription yet; it is carried out on reconnection"
            ) from error

    async def unwatch(self, sites: Sequence[str], cameras: Sequence[tuple[str, str]]) -> None:
        """Does not wait for Redis."""
        gone = [channel for channel in _channels(sites, cameras) if self._wanted.pop(channel, None)]
        self._live.difference_update(gone)
        await self._send("UNSUBSCRIBE", gone)

    async def echo(self, name: str, body: bytes) -> None:
        channel = keys.canary_channel(name).encode()
        if channel not in self._wanted:
            self._wanted[channel] = (name, _CANARY)
            await self._send("SUBSCRIBE", [channel])
        await run(self._link, [("PUBLISH", channel, keys.encode_canary(name, body))], writing=True)

    async def send(self, name: str, body: bytes) -> bool:
        [heard] = await run(
            self._link,
            [("PUBLISH", keys.canary_channel(name), keys.encode_canary(name, body))],
            writing=True,
        )
        return int(heard) > 0

    async def operations(self) -> bytes:
        payload = (await run(self._link, [("GET", keys.OPERATIONS)], writing=False))[0]
        found = self._decode([payload] if payload else [])
        return found[0].body if found else b""

    async def state(self, site: str, camera: str) -> LiveState | None:
        payload = (await run(self._link, [("HGET", keys.states(site), camera)], writing=False))[0]
        publications = self._decode([payload] if payload else [])
        if not publications:
            return None
        p = publications[0]
        return LiveState(p.site, p.camera, p.generation, p.version, p.offset, p.body)

    async def summaries(self, site: str) -> list[LiveSummary]:
        found = []
        for raw in (await run(self._link, [("HVALS", keys.summaries(site))], writing=False))[0]:
            try:
                found.append(keys.decode_entry(raw))
            except BadInput:
                self.rejected += 1
        return sorted(found, key=lambda entry: entry.camera)

    async def history(
        self, site: str, camera: str | None, after: int, limit: int, *, begin: bool = False
    ) -> tuple[str, int, list[BrokerMessage]]:
        """A first event beyond `after + 1` tells that older ones are no longer kept."""
        arguments: list[str | int] = [camera or "", after, limit]
        if begin and camera is None:
            await self._link.open()  # the run id is that of the server that is asked
            arguments += [new_epoch(), self._link.server]
        names = [keys.position(site), keys.stream(site, camera)]
        call = call_of("history", names, arguments)
        epoch, top, payloads = (await run(self._link, [call], writing=False))[0]
        return epoch.decode(), int(top), self._decode(payloads)

    def _decode(self, payloads: Iterable[bytes]) -> list[BrokerMessage]:
        found = []
        for payload in payloads:
            try:
                found.append(keys.decode(payload))
            except BadInput:
                self.rejected += 1
        return found

    async def _send(self, command: str, channels: Sequence[bytes]) -> None:
        """Send on the listening connection, if there is one: when it is lost, the reconnection
        carries them out."""
        connection = self._connection
        if connection is None or not channels:
            return
        self._owed.update(channels)
        try:
            for start in range(0, len(channels), CHANNELS_PER_COMMAND):
                await write(connection, command, *channels[start : start + CHANNELS_PER_COMMAND])
        except LOST_ERRORS as error:
            _log.info("redis listener: %s not sent: %s", command, error)

    async def _listen(self, connection: AbstractConnection) -> None:
        """Listen until closed, over as many connections as it takes."""
        while not self._closed:
            try:
                await self._session(connection)
            except (EyrieError, ResponseError, *LOST_ERRORS) as error:
                level = logging.DEBUG if self._tries else logging.WARNING  # an outage is told once
                _log.log(level, "redis listener has no connection: %s", error)
            finally:
                self._connection = None
                self._live.clear()
                self._owed.clear()
                await connection.disconnect(nowait=True)
            self.inbox.notify(LOST)
            self._tries += 1
            await asyncio.sleep(random.uniform(0.02, bound_s(self._tries, 0.05, MAX_BACKOFF_S)))

    async def _session(self, connection: AbstractConnection) -> None:
        """One connection, from its first subscription to its loss. Silence beyond the timeout is a
        loss: a hung server answers no ping."""
        await connect(connection, self._settings.timeout_s)
        self._connection = connection
        self._returning, self._tries = self._tries > 0, 0
        await self._send("SUBSCRIBE", list(self._wanted))
        self._tell_when_back()
        pinging = asyncio.create_task(_ping(connection), name="redis-broker-ping")
        try:
            async with asyncio.timeout(None) as silence:
                while not self._closed:
                    silence.reschedule(asyncio.get_running_loop().time() + self._settings.timeout_s)
                    self._handle(await connection.read_response(timeout=math.inf))
        finally:
            pinging.cancel()

    def _handle(self, message: Any) -> None:
        if not isinstance(message, list) or len(message) != 3:
            return  # a pong
        kind, channel, data = message
        if kind == b"message":
            self._receive(channel, data)
        elif kind in (b"subscribe", b"unsubscribe"):
            self._owed[channel] -= 1
            if self._owed[channel] <= 0:
                # The last answer of several is the one that holds.
                del self._owed[channel]
                if kind == b"subscribe" and channel in self._wanted:
                    self._live.add(channel)
                self._tell_when_back()
                self._changed.set()

    def _receive(self, channel: bytes, payload: bytes) -> None:
        if (expected := self._wanted.get(channel)) is None:
            return  # unwatched a moment ago
        try:
            publication = keys.decode(payload)
        except BadInput:
            self.rejected += 1
            return
        if fits(publication, *expected):
            self.inbox.add(publication, len(payload))
        else:
            self.rejected += 1

    def _tell_when_back(self) -> None:
        if self._returning and self._wanted.keys() <= self._live:
            self._returning = False
            self.reconnections += 1
            self.inbox.notify(RESUBSCRIBED)


async def _ping(connection: AbstractConnection) -> None:
    while True:
        await asyncio.sleep(PING_S)
        try:
            await write(connection, "PING")
        except LOST_ERRORS:
            return  # the reader meets the same loss and tells it


def fits(publication: BrokerMessage, site: str, camera: str | None) -> bool:
    """True when a publication belongs on the channel it came by: anyone who reaches Redis can
    publish anything anywhere."""
    if publication.site != site:
        return False
    if camera == _CANARY:
        return publication.kind == "canary"
    if camera == _OPERATIONS:
        return publication.kind == "operations"
    if camera is None:
        return publication.kind in ("event", "summaries", "heartbeat")
    return publication.kind == "state" and publication.camera == camera


def _channels(
    sites: Sequence[str], cameras: Sequence[tuple[str, str]]
) -> dict[bytes, tuple[str, str | None]]:
    found: dict[bytes, tuple[str, str | None]] = {
        keys.wall_channel(site).encode(): (site, None) for site in sites
    }
    for site, camera in cameras:
        found[keys.live_channel(site, camera).encode()] = (site, camera)
    return found
