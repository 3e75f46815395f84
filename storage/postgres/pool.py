"""The connections of one process to PostgreSQL, with the limits that neither asyncpg nor PostgreSQL
set by themselves."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, cast

import asyncpg

from actors.core.errors import ConfigError, EyrieError
from actors.core.settings import PostgresSettings
from storage.ports.policy import Audit
from storage.postgres.errors import connecting, translate
from storage.postgres.place import check_place

LOCK_TIMEOUT_S = 2.0
IDLE_IN_TRANSACTION_S = 5.0
TRANSACTION_S = 30.0


def connect_arguments(settings: PostgresSettings, name: str) -> dict[str, Any]:
    """What `asyncpg.connect` takes. `name` becomes ``application_name`` (at most 63 bytes), so that
    a stuck backend can be told apart."""
    return {
        "dsn": settings.dsn,
        "password": _password(settings.password_file),
        "timeout": settings.connect_timeout_s,
        "command_timeout": settings.command_timeout_s,
        "server_settings": {
            "application_name": name[:63],
            "timezone": "UTC",
            "jit": "off",
            # Planning the commit anew for its arrays costs more than a better plan could bring:
            # 0.1-0.25 ms of 0.5-1.2.
            "plan_cache_mode": "force_generic_plan",
            # What is left keeps the order of the rows it is given, or of an index: a commit locks
            # its cameras in that order (`storage/sql/cameras.sql`), and all else that we read, we
            # read by an index.
            "enable_hashjoin": "off",
            "enable_seqscan": "off",
            "enable_bitmapscan": "off",
            # Shorter than the client's own: an error of the server says that nothing happened, a
            # timeout of the client says nothing.
            "statement_timeout": _ms(0.9 * settings.command_timeout_s),
            "lock_timeout": _ms(min(LOCK_TIMEOUT_S, 0.5 * settings.command_timeout_s)),
            "idle_in_transaction_session_timeout": _ms(IDLE_IN_TRANSACTION_S),
            # No snapshot of ours lives longer: while one does, every update of a camera leaves a
            # dead row behind.
            "transaction_timeout": _ms(max(TRANSACTION_S, settings.command_timeout_s)),
        },
    }


def _ms(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))


def _password(path: str) -> str | None:
    if not path:
        return None
    try:
        return Path(path).read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        raise ConfigError(f"postgres.password_file cannot be read: {error}") from error


async def _no_reset(_connection: object) -> None:
    """Nothing of ours leaves session state behind, so the round trip of the default reset buys
    nothing."""


class Database:
    """A small pool: one connection for an actor process, a few for a hub. A connection whose
    outcome is unknown is never used again."""

    def __init__(self, settings: PostgresSettings, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._settings = settings
        self._pool = pool

    @classmethod
    async def open(cls, settings: PostgresSettings, *, name: str, size: int = 1) -> "Database":
        """Connect once, so that a wrong setting is told now. `size`: connections at most."""
        with connecting():
            pool = asyncpg.create_pool(
                min_size=1,
                max_size=size,
                max_inactive_connection_lifetime=0,
                init=check_place,
                reset=_no_reset,
                **connect_arguments(settings, name),
            )
            try:
                await pool
            except BaseException:
                pool.terminate()
                raise
        return cls(settings, pool)

    async def fetch(self, statement: str, *arguments: Any, writing: bool = False) -> Sequence[Any]:
        """Run one statement in one round trip. Raises the family (`storage.postgres.errors`)."""
        async with self.connection() as connection:
            with answering(connection, writing=writing):
                return cast(Sequence[Any], await connection.fetch(statement, *arguments))

    async def fetch_value(self, statement: str, *arguments: Any, writing: bool = False) -> Any:
        """The first column of the first row, or None."""
        rows = await self.fetch(statement, *arguments, writing=writing)
        return rows[0][0] if rows else None

    async def change(
        self,
        statement: str,
        *arguments: Any,
        audit: Audit | None = None,
        done: Callable[[Sequence[Any]], bool] = bool,
    ) -> Sequence[Any]:
        """Run one statement and, where `done` says of its rows that it changed something, `audit`:
        together or not at all."""
        if audit is None:
            return await self.fetch(statement, *arguments, writing=True)
        async with self.transaction(writing=True) as connection:
            rows = cast(Sequence[Any], await connection.fetch(statement, *arguments))
            if done(rows):
                await audit(connection)
        return rows

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A connection of the pool; waits for one no longer than the connect timeout."""
        with connecting():
            held = await self._pool.acquire(timeout=self._settings.connect_timeout_s)
        try:
            yield held
        finally:
            await self._pool.release(held)

    @asynccontextmanager
    async def transaction(
        self, *, readonly: bool = False, writing: bool = False
    ) -> AsyncIterator[Any]:
        """A transaction; `readonly` ones are repeatable reads, so that a long reading sees one
        moment."""
        async with self.connection() as connection:
            isolation = "repeatable_read" if readonly else None
            with answering(connection, writing=writing):
                async with connection.transaction(isolation=isolation, readonly=readonly):
                    yield connection

    async def check_place(self) -> None:
        """What every new connection does first (`storage.postgres.place`), again: rows may be put
        back below open connections."""
        async with self.connection() as connection:
            with answering(connection, writing=True):
                await check_place(connection)

    async def close(self) -> None:
        """Close within the command timeout; what does not close is cut."""
        try:
            async with asyncio.timeout(self._settings.command_timeout_s):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


@contextmanager
def answering(connection: Any, *, writing: bool) -> Iterator[None]:
    """Translate what a sent statement raises, and cut the connection where its answer may still be
    under way."""
    try:
        yield
    except EyrieError:
        raise
    except (
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        UnicodeEncodeError,
        OverflowError,
    ) as error:
        raise translate(error, writing=writing) from error
    except BaseException as error:
        # A timeout, a cut or a cancellation: a late answer of this statement must not meet the next
        # one.
        connection.terminate()
        if isinstance(error, OSError | TimeoutError | asyncpg.InternalClientError):
            raise translate(error, writing=writing) from error
        raise
