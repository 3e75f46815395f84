"""Batches of commands on one connection to Redis, each batch answered before the next: one write,
one future, one timer.

redis-py's own connection asks before every batch whether something can be read and sets a timer
per reply: twice the processor time of this one at ten batches a second. Addresses, TLS, packing
and the words for error replies are redis-py's; RESP is read by hiredis.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import hiredis
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    DefaultParser,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError


class Pipeline(asyncio.Protocol):
    """The client's side of one connection. Whoever calls takes turns."""

    def __init__(self) -> None:
        self._replies = hiredis.Reader(
            protocolError=InvalidResponse, replyError=DefaultParser.parse_error
        )
        self._transport: asyncio.Transport | None = None
        self._wanted = 0
        self._got: list[Any] = []
        self._waiting: asyncio.Future[list[Any]] | None = None

    @property
    def connected(self) -> bool:
        """Whether a batch may be sent. Told of an end before anything is written, so that nothing
        is unknown."""
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, packed: Sequence[bytes], count: int, timeout_s: float) -> list[Any]:
        """Send `packed` and return `count` replies; an error reply stands among them as a
        ResponseError. Raises redis-py's ConnectionError, TimeoutError or InvalidResponse; the
        connection has ended then, as after a cancellation: a late reply would be taken for that of
        the next batch."""
        if self._transport is None or self._waiting is not None:
            raise RedisConnectionError("the connection was given up")
        loop = asyncio.get_running_loop()
        self._wanted, self._got, self._waiting = count, [], loop.create_future()
        timer = loop.call_later(timeout_s, self._expire, timeout_s)
        try:
            self._transport.writelines(packed)
            replies = await self._waiting
        except BaseException:
            self.close()
            raise
        finally:
            timer.cancel()
            self._waiting = None
        for reply in replies:
            if isinstance(reply, RedisConnectionError):  # it loads, or wants a login
                self.close()
                raise reply
        return replies

    def close(self) -> None:
        """End the connection now; whoever waits is told."""
        if self._transport is not None:
            self._transport.abort()
        self._end(RedisConnectionError("the connection was given up"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        if self._waiting is None or self._waiting.done():  # nobody asked
            self.close()
            return
        try:
            self._replies.feed(data)
            while len(self._got) < self._wanted and (reply := self._replies.gets()) is not False:
                self._got.append(reply)
        except RedisError as error:  # bytes that are no reply
            self._fail(error)
            return
        if len(self._got) < self._wanted:
            return
        if self._replies.has_data():  # more than was asked for
            self._fail(InvalidResponse("more replies than commands"))
        else:
            self._waiting.set_result(self._got)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(RedisConnectionError(str(exc) if exc else "Redis closed the connection"))

    def _expire(self, timeout_s: float) -> None:
        self._fail(RedisTimeoutError(f"no answer within {timeout_s:g} s"))

    def _fail(self, error: Exception) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._end(error)

    def _end(self, error: Exception) -> None:
        self._transport = None
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)


async def open_pipeline(address: AbstractConnection, timeout_s: float) -> Pipeline:
    """Connect and log in as redis-py would by `address`. Raises what :meth:`Pipeline.exchange`
    raises, or OSError."""
    loop = asyncio.get_running_loop()
    if isinstance(address, UnixDomainSocketConnection):
        _, pipeline = await loop.create_unix_connection(Pipeline, address.path)
    else:
        assert isinstance(address, Connection)
        tls = address.ssl_context.get() if isinstance(address, SSLConnection) else None
        _, pipeline = await loop.create_connection(Pipeline, address.host, address.port, ssl=tls)
    commands: list[tuple[Any, ...]] = []
    if address.password:
        user = (address.username,) if address.username else ()
        commands.append(("AUTH", *user, address.password))
    commands.append(("CLIENT", "SETNAME", address.client_name))
    if address.db:
        commands.append(("SELECT", address.db))
    try:
        # a server may count more than a login from who has not logged in as an attack
        for command in commands:
            reply = (await pipeline.exchange(address.pack_command(*command), 1, timeout_s))[0]
            if isinstance(reply, RedisError):
                raise reply
    except BaseException:
        pipeline.close()
        raise
    return pipeline
