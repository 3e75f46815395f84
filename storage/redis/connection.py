"""One connection to Redis: a whole batch of commands per round trip, deadlines, and errors that say
whether anything was sent.

redis-py's client retries by itself and reconnects in silence; here a lost connection is an error of
the call that met it, and the next call connects anew.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from storage.redis.pipeline import Pipeline, open_pipeline

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
        with _told():
            async with asyncio.timeout(timeout_s):
                await connection.connect()  # type: ignore[no-untyped-call]
    except BaseException:
        await connection.disconnect(nowait=True)
        raise


@contextmanager
def _told() -> Iterator[None]:
    """What fails while connecting, in the family's words."""
    try:
        yield
    except (AuthenticationError, NoPermissionError) as error:
        raise ConfigError(f"Redis refuses the login: {error}", hint=_LOGIN_HINT) from error
    except (RedisError, *LOST) as error:
        if isinstance(
            error.__cause__, AuthenticationError
        ):  # redis-py wraps it when the first command is refused
            raise ConfigError(f"Redis refuses the login: {error}", hint=_LOGIN_HINT) from error
        raise Unavailable(
            f"Redis cannot be reached: {error}", hint="Is it running, and is redis.url right?"
        ) from error


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
        self._timeout_s = settings.timeout_s
        self._address = make_connection(settings, name)
        self._pipeline: Pipeline | None = None
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
            return await self._exchange(await self._ensure(), commands, writing=writing)

    async def _ensure(self) -> Pipeline:
        if self._pipeline is not None and self._pipeline.connected:
            return self._pipeline
        with _told():
            async with asyncio.timeout(self._timeout_s):
                pipeline = await open_pipeline(self._address, self._timeout_s)
        info = (await self._exchange(pipeline, [("INFO", "server")], writing=False))[0]
        if isinstance(info, ResponseError):
            pipeline.close()
            raise ConfigError(
                f"Redis refuses INFO: {info}",
                hint="Eyrie needs a user that may run INFO and scripts.",
            )
        self.server = run_id(info)
        self._pipeline = pipeline
        return pipeline

    async def _exchange(
        self, pipeline: Pipeline, commands: Sequence[Command], *, writing: bool
    ) -> list[Any]:
        packed = self._address.pack_commands(commands)
        try:
            return await pipeline.exchange(packed, len(commands), self._timeout_s)
        except LOST as error:
            raise _lost(error, writing=writing) from error

    async def close(self) -> None:
        """Close; calls in flight end first."""
        async with self._turn:
            if self._pipeline is not None:
                self._pipeline.close()


def _lost(error: Exception, *, writing: bool) -> EyrieError:
    text = f"Redis did not answer: {error}" if str(error) else "Redis did not answer in time"
    return UnknownOutcome(text) if writing else Unavailable(text)


def run_id(info: bytes) -> str:
    """The ``run_id`` of an ``INFO server`` reply, or an empty text."""
    for line in info.split(b"\r\n"):
        if line.startswith(b"run_id:"):
            return line[7:].decode("ascii", "replace")
    return ""
