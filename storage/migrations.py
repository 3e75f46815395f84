"""Versioned migrations: ``storage/sql/migrations/NNNN_name.sql``, each applied once, in order, in a
transaction of its own.

One migrator at a time (advisory lock). An applied file never changes: its checksum is compared at
every start. A statement that waits for a lock queues everyone behind it, so it waits
``LOCK_TIMEOUT_S`` and the migration is tried again.
"""

import asyncio
import hashlib
import random
from importlib.resources import files
from typing import Any

import asyncpg
import msgspec

from actors.core.errors import ConfigError, Unavailable
from actors.core.settings import Settings
from storage.events.partitions import PARTITIONS_AHEAD, ensure_partitions
from storage.postgres.errors import connecting, translate
from storage.postgres.place import check_place
from storage.postgres.pool import connect_arguments

LOCK_KEY = 0x6579_7269_6501  # "eyrie", 1: the advisory lock of the migrator
LOCK_TIMEOUT_S = 2.0
LOCK_TRIES = 10
WAIT_FOR_OTHERS_S = 60.0  # another process may be migrating
STATEMENT_S = 600.0  # a migration may rewrite a table

_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    name text PRIMARY KEY, checksum text NOT NULL, applied timestamptz NOT NULL DEFAULT now()
)
"""


class Migration(msgspec.Struct, frozen=True):
    """One file: `name` without its suffix, and its SQL."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the SQL, in hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def known() -> list[Migration]:
    """The migrations of this release, in order."""
    folder = files("storage").joinpath("sql", "migrations")
    found = [
        Migration(f.name.removesuffix(".sql"), f.read_text("utf-8"))
        for f in folder.iterdir()
        if f.name.endswith(".sql")
    ]
    return sorted(found, key=lambda migration: migration.name)


def pending(migrations: list[Migration], applied: dict[str, str]) -> list[Migration]:
    """What is left to do. Raises ConfigError when an applied file has changed.

    Migrations that only the database knows belong to a newer release; they are additive within one
    release step, so they are left alone.
    """
    for migration in migrations:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise ConfigError(
                f"migration {migration.name} was applied with other contents than this release has",
                hint="The database was made by a build that was never released: restore a backup "
                "or start with a new data directory.",
            )
    return [migration for migration in migrations if migration.name not in applied]


async def migrate(settings: Settings, *, migrations: list[Migration] | None = None) -> list[str]:
    """Bring the database up to this release and make the partitions ahead. Returns the names
    applied now.

    Safe to call from many processes at once.
    """
    with connecting():
        connection = await asyncpg.connect(
            **(
                connect_arguments(settings.postgres, "eyrie:migrate")
                | {"command_timeout": STATEMENT_S}
            ),
        )
    try:
        await connection.execute(
            f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'; SET statement_timeout = '{STATEMENT_S}s'; "
            "SET transaction_timeout = 0"
        )
        await _take_lock(connection)
        done = await _apply(connection, known() if migrations is None else migrations)
        await check_place(connection)
        await ensure_partitions(connection, PARTITIONS_AHEAD)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise translate(error, writing=True) from error
    finally:
        # Closing the connection gives the advisory lock back.
        await connection.close(timeout=settings.postgres.command_timeout_s)
    return done


async def _take_lock(connection: Any) -> None:
    deadline = asyncio.get_running_loop().time() + WAIT_FOR_OTHERS_S
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):
        if asyncio.get_running_loop().time() > deadline:
            raise Unavailable(
                f"another process has been migrating this database for {WAIT_FOR_OTHERS_S:.0f} s"
            )
        await asyncio.sleep(random.uniform(0.1, 0.3))


async def _apply(connection: Any, migrations: list[Migration]) -> list[str]:
    await connection.execute(_LEDGER)
    applied = {
        row["name"]: row["checksum"]
        for row in await connection.fetch("SELECT name, checksum FROM schema_migrations")
    }
    done: list[str] = []
    for migration in pending(migrations, applied):
        await _apply_one(connection, migration)
        done.append(migration.name)
    return done


async def _apply_one(connection: Any, migration: Migration) -> None:
    for attempt in range(1, LOCK_TRIES + 1):
        try:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)",
                    migration.name,
                    migration.checksum,
                )
            return
        except asyncpg.LockNotAvailableError as error:
            if attempt == LOCK_TRIES:
                raise Unavailable(
                    f"migration {migration.name} could not get its locks in {LOCK_TRIES} tries"
                ) from error
            await asyncio.sleep(random.uniform(0.1, 0.5) * attempt)
