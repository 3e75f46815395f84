"""Plain channels in Redis: publications with position and history, presence, and their pub/sub
(hub.compat.plain_channels).

    eyrie:channel:{<name>}:meta      hash    epoch, top eyrie:channel:{<name>}:stream    stream  ids
    "<offset>-0" eyrie:channel:{<name>}:presence  hash    client → "<seconds since 1970 it holds
    until> <who>" eyrie:channel:{<name>}           channel publications, joins and leaves: "<offset>
    <epoch> <envelope>"

The envelopes are the hub's; nothing here looks into them. A lost connection of the listener is
told, never bridged in silence: whoever listens must then let its subscribers recover.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError

from actors.core.errors import EyrieError, Unavailable
from actors.core.settings import RedisSettings
from storage.ports.epochs import new_epoch
from storage.redis.connection import LOST, RedisLink, connect, make_connection, write
from storage.redis.scripts import call_of, run

PRESENCE_S = 60  # an entry that nobody renews is gone after this
META_S = 30 * 86_400  # how long the numbering of a channel outlives its last use
PING_S = 1.0
RETRY_S = 0.2

_log = logging.getLogger(__name__)


class Kept(msgspec.Struct, frozen=True):
    """One publication of a channel's history."""

    offset: int
    envelope: bytes


class RedisChannels:
    """Two connections: one calls, one listens. `lost` is called when anything may lack."""

    def __init__(self, settings: RedisSettings, *, name: str) -> None:
        self._settings = settings
        self._name = name
        self._link = RedisLink(settings, f"{name}:channels")
        self._wanted: set[str] = set()
        self._live: set[str] = set()
        self._changed = asyncio.Event()
        self._connection: AbstractConnection | None = None
        self._listener: asyncio.Task[None] | None = None
        self._arrived: Callable[[str, int, str, bytes], None] | None = None
        self._lost: Callable[[], None] | None = None

    async def open(
        self, arrived: Callable[[str, int, str, bytes], None], lost: Callable[[], None]
    ) -> None:
        """Connect and begin to listen. Raises Unavailable or ConfigError."""
        await self._link.open()
        self._arrived, self._lost = arrived, lost
        self._listener = asyncio.create_task(self._listen(), name="redis-channels")

    async def close(self) -> None:
        """Stop listening and give both connections back."""
        if self._listener is not None:
            self._listener.cancel()
            with suppress(asyncio.CancelledError):
                await self._listener
        await self._link.close()

    async def publish(
        self, channel: str, envelope: bytes, *, size: int, ttl_s: int
    ) -> tuple[str, int]:
        """Publish; (epoch, offset), or ("", 0) where `size` 0 keeps no history. Raises Unavailable
        or UnknownOutcome."""
        call = call_of(
            "channel_publish",
            _stream_keys(channel),
            [_base(channel), size, ttl_s, META_S, new_epoch(), envelope],
        )
        epoch, offset = (await run(self._link, [call], writing=True))[0]
        return epoch.decode(), int(offset)

    async def history(
        self,
        channel: str,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int,
        newest_first: bool = False,
    ) -> tuple[str, int, list[Kept]]:
        """(epoch, top, publications with `after` < offset < `before`). Raises Unavailable."""
        last = "+" if before is None else f"({before}-0"
        call = call_of(
            "channel_history",
            _stream_keys(channel),
            [new_epoch(), META_S, f"({after}-0", last, limit, int(newest_first)],
        )
        epoch, top, found = (await run(self._link, [call], writing=False))[0]
        return (
            epoch.decode(),
            int(top),
            [
                Kept(int(offset), envelope)
                for offset, envelope in zip(found[::2], found[1::2], strict=True)
            ],
        )

    async def forget(self, channel: str) -> None:
        """Empty a channel's history; its numbering goes on. Raises Unavailable."""
        await run(self._link, [("DEL", _base(channel) + ":stream")], writing=True)

    async def appear(self, channel: str, clients: dict[str, bytes]) -> None:
        """Note or renew who is there, for :data:`PRESENCE_S`. Raises Unavailable."""
        key = _base(channel) + ":presence"
        until = b"%d " % (time.time() + PRESENCE_S)
        fields = [part for client, who in clients.items() for part in (client, until + who)]
        await run(self._link, [("HSET", key, *fields), ("EXPIRE", key, PRESENCE_S)], writing=True)

    async def vanish(self, channel: str, client: str) -> None:
        """Somebody has left. Raises Unavailable."""
        await run(self._link, [("HDEL", _base(channel) + ":presence", client)], writing=True)

    async def present(self, channel: str) -> dict[str, bytes]:
        """Who is there: client → who. Raises Unavailable."""
        fields = (
            await run(self._link, [("HGETALL", _base(channel) + ":presence")], writing=False)
        )[0]
        now, found = time.time(), {}
        for client, value in zip(fields[::2], fields[1::2], strict=True):
            until, _, who = value.partition(b" ")
            if int(until) > now:
                found[client.decode()] = who
        return found

    async def watch(self, channel: str) -> None:
        """Listen to `channel`. Raises Unavailable when Redis does not confirm in time."""
        self._wanted.add(channel)
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                if channel not in self._live:
                    await self._send("SUBSCRIBE", channel)
                while channel not in self._live:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            raise Unavailable("Redis has not confirmed the subscription yet") from error

    async def unwatch(self, channel: str) -> None:
        """Listen no more."""
        self._wanted.discard(channel)
        self._live.discard(channel)
        await self._send("UNSUBSCRIBE", channel)

    async def _send(self, command: str, *channels: str) -> None:
        connection = self._connection
        if connection is None or not channels:
            return
        try:
            await write(connection, command, *map(_base, channels))
        except LOST as error:
            _log.info("%s not sent, the reconnection does it: %s", command, error)

    async def _listen(self) -> None:
        while True:
            connection = make_connection(self._settings, f"{self._name}:channels-listen")
            try:
                await connect(connection, self._settings.timeout_s)
                self._connection = connection
                await self._send("SUBSCRIBE", *self._wanted)
                await self._session(connection)
            except (EyrieError, ResponseError, *LOST) as error:
                _log.warning("the listener of plain channels has no connection: %s", error)
            finally:
                self._connection = None
                self._live.clear()
                await connection.disconnect(nowait=True)
            if self._lost is not None:
                self._lost()
            await asyncio.sleep(RETRY_S)

    async def _session(self, connection: AbstractConnection) -> None:
        pinging = asyncio.create_task(_ping(connection), name="redis-channels-ping")
        try:
            async with asyncio.timeout(None) as silence:
                while True:
                    silence.reschedule(asyncio.get_running_loop().time() + self._settings.timeout_s)
                    self._take(await connection.read_response(timeout=math.inf))
        finally:
            pinging.cancel()

    def _take(self, message: Any) -> None:
        if not isinstance(message, list) or len(message) != 3:
            return  # a pong
        kind, key, data = message
        channel = key.decode()[len(_PREFIX) : -1]
        if kind == b"subscribe":
            if channel in self._wanted:
                self._live.add(channel)
            self._changed.set()
        elif kind == b"message" and channel in self._wanted and self._arrived is not None:
            offset, epoch, envelope = data.split(b" ", 2)
            self._arrived(channel, int(offset), epoch.decode(), envelope)


_PREFIX = "eyrie:channel:{"


def _base(channel: str) -> str:
    return f"{_PREFIX}{channel}}}"


def _stream_keys(channel: str) -> list[str]:
    return [_base(channel) + ":meta", _base(channel) + ":stream"]


async def _ping(connection: AbstractConnection) -> None:
    while True:
        await asyncio.sleep(PING_S)
        try:
            await write(connection, "PING")
        except LOST:
            return  # the reader meets the same error and tells it
