"""One connection to Redis: a whole batch of commands per round trip, deadlines, and errors that say
whether anything was sent.

redis-py's client retries by itself and reconnects in silence; here a lost connection is an error of
the call that met it, and the next call connects anew.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    InvalidResponse,
    NoPermissionError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from actors.core.errors import ConfigError, EyrieError, Unavailable, UnknownOutcome
from actors.core.settings import RedisSettings

LOST = (
    RedisConnectionError,
    RedisTimeoutError,
    InvalidResponse,
    OSError,
    TimeoutError,
)  # InvalidResponse: bytes that are no reply

_LOGIN_HINT = "Check redis.url and redis.password_file."

Command = tuple[Any, ...]


def make_connection(settings: RedisSettings, name: str) -> AbstractConnection:
    """A connection, not yet connected. Protocol 2 is what every server speaks, and its replies need
    no push handling."""
    try:
        pool = ConnectionPool.from_url(
            settings.url,
            protocol=2,
            client_name=name[:60],
            driver_info=None,
            socket_timeout=settings.timeout_s,
            socket_connect_timeout=settings.timeout_s,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
            **_password(settings.password_file),
        )
    except ValueError as error:
        raise ConfigError(f"redis.url cannot be used: {error}") from error
    connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
    return connection


def _password(path: str) -> dict[str, str]:
    if not path:
        return {}
    try:
        return {"password": Path(path).read_text("utf-8").rstrip("\r\n")}
    except OSError as error:
        raise ConfigError(f"redis.password_file cannot be read: {error}") from error


async def connect(connection: AbstractConnection, timeout_s: float) -> None:
    """Connect and log in within `timeout_s`. Raises Unavailable or ConfigError: nothing was
    sent."""
    try:
        async with asyncio.timeout(timeout_s):
            await connection.connect()  # type: ignore[no-untyped-call]
    except (AuthenticationError, NoPermissionError) as error:
        raise ConfigError(f"Redis refuses the login: {error}", hint=_LOGIN_HINT) from error
    except (RedisError, *LOST) as error:
        await connection.disconnect(nowait=True)
        if isinstance(
            error.__cause__, AuthenticationError
        ):  # redis-py wraps it when the first command is refused
            raise ConfigError(f"Redis refuses the login: {error}", hint=_LOGIN_HINT) from error
        raise Unavailable(
            f"Redis cannot be reached: {error}", hint="Is it running, and is redis.url right?"
        ) from error
    except BaseException:
        await connection.disconnect(nowait=True)
        raise


async def write(connection: AbstractConnection, *command: Any) -> None:
    """:func:`write_packed` of one command."""
    await write_packed(connection, connection.pack_command(*command))


async def write_packed(connection: AbstractConnection, packed: Any) -> None:
    """Send packed commands on a connection that may be lost while nobody looks. Raises one of
    :data:`LOST`.

    redis-py connects anew in silence when it is asked to write on one that was given up, and what
    it raises for one that is lost in the middle is none of its own errors: uvloop's closed
    transport says RuntimeError, and a writer that a `disconnect` took away is None
    (AttributeError). All that comes together when a process thaws: every timer is due, every
    connection was closed long ago.
    """
    if not connection.is_connected:
        raise RedisConnectionError("the connection was given up")
    try:
        await connection.send_packed_command(packed, check_health=False)
    except (RuntimeError, AttributeError) as error:
        raise RedisConnectionError(f"the connection was lost: {error}") from error


class RedisLink:
    """Calls one after the other on one connection. `server` is the run id of the Redis behind it (a
    restart or failover changes it)."""

    def __init__(self, settings: RedisSettings, name: str) -> None:
        self._settings = settings
        self._connection = make_connection(settings, name)
        self._turn = asyncio.Lock()
        self.server = ""

    async def open(self) -> None:
        """Connect now, so that a wrong setting is told now."""
        async with self._turn:
            await self._ensure()

    async def call(self, commands: Sequence[Command], *, writing: bool) -> list[Any]:
        """Send all, then read all replies; an error reply stands in the list as a ResponseError.

        Raises Unavailable when there was no connection, UnknownOutcome (Unavailable when not
        `writing`) when it was lost in between.
        """
        if not commands:
            return []
        async with self._turn:
            await self._ensure()
            return await self._exchange(commands, writing=writing)

    async def _ensure(self) -> None:
        if self._connection.is_connected and await self._still_good():
            return
        await connect(self._connection, self._settings.timeout_s)
        info = (await self._exchange([("INFO", "server")], writing=False))[0]
        if isinstance(info, ResponseError):
            raise ConfigError(
                f"Redis refuses INFO: {info}",
                hint="Eyrie needs a user that may run INFO and scripts.",
            )
        self.server = run_id(info)

    async def _still_good(self) -> bool:
        """False when the server has closed the connection while nobody looked: found before
        anything is sent, so nothing is unknown."""
        try:
            good = not await self._connection.can_read()
        except LOST:
            good = False
        if not good:
            await self._connection.disconnect(nowait=True)
        return good

    async def _exchange(self, commands: Sequence[Command], *, writing: bool) -> list[Any]:
        connection = self._connection
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                await write_packed(connection, connection.pack_commands(commands))
                return [await _reply(connection) for _ in commands]
        except LOST as error:
            await connection.disconnect(nowait=True)
            raise _lost(error, writing=writing) from error
        except BaseException:
            # A reply still under way must not be taken for that of the next call.
            await connection.disconnect(nowait=True)
            raise

    async def close(self) -> None:
        """Close; calls in flight end first."""
        async with self._turn:
            await self._connection.disconnect(nowait=True)


async def _reply(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _lost(error: Exception, *, writing: bool) -> EyrieError:
    text = f"Redis did not answer: {error}" if str(error) else "Redis did not answer in time"
    return UnknownOutcome(text) if writing else Unavailable(text)


def run_id(info: bytes) -> str:
    """The ``run_id`` of an ``INFO server`` reply, or an empty text."""
    for line in info.split(b"\r\n"):
        if line.startswith(b"run_id:"):
            return line[7:].decode("ascii", "replace")
    return ""
