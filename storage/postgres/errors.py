"""PostgreSQL and asyncpg failures, translated into the family; the cause is kept.

Codes: PostgreSQL manual, appendix A. What matters is whether a write may have happened: an error
report of the server means it was rolled back, except where the report says that the server is going
away; a timeout or a cut connection says nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from actors.core.errors import (
    BadInput,
    ConfigError,
    Conflict,
    EyrieError,
    Full,
    ReadOnly,
    Unavailable,
    UnknownOutcome,
)

_GOING_AWAY = (
    "57P01",
    "57P02",
    "57P03",
    "57P05",
)  # shutdown, crash, starting up, idle session ended
_LOGIN = ("28", "3D")  # refused login, no such database
_SCHEMA = ("42", "3F")  # undefined table, column, function; no such schema; no permission
_DATA = ("22",)  # values that no column takes
_INTEGRITY = ("23",)
_FULL = ("53100",)  # disk_full
_READ_ONLY = ("25006",)  # read_only_sql_transaction: told to only read, or a replica
_CHECK = "23514"  # has the name of a constraint, unless it is the bounds of a partition


def translate(error: Exception, *, writing: bool) -> EyrieError:
    """The family's word for `error`, raised by a statement that had been sent; `writing` when that
    statement changes something."""
    if isinstance(error, asyncpg.DataError | UnicodeEncodeError | OverflowError):
        # asyncpg raises DataError itself for what it cannot encode, and takes a lone surrogate as
        # UnicodeEncodeError.
        return BadInput(f"a value cannot be stored: {error}")
    if isinstance(error, asyncpg.PostgresError):
        return _of_server(error, writing=writing)
    if isinstance(error, asyncpg.InterfaceError):
        return Unavailable(f"PostgreSQL: {error}")
    if isinstance(error, asyncpg.InternalClientError):
        # asyncpg's protocol met the end of a server in the middle of something: it cannot say what
        # was sent.
        return (
            UnknownOutcome(f"PostgreSQL: {error}")
            if writing
            else Unavailable(f"PostgreSQL: {error}")
        )
    if isinstance(error, OSError | TimeoutError):
        word = (
            "did not answer in time"
            if isinstance(error, TimeoutError)
            else f"connection lost ({error})"
        )
        return (
            UnknownOutcome(f"PostgreSQL {word}") if writing else Unavailable(f"PostgreSQL {word}")
        )
    return Unavailable(f"PostgreSQL: {type(error).__name__}: {error}")


def _of_server(error: asyncpg.PostgresError, *, writing: bool) -> EyrieError:
    state: str = getattr(error, "sqlstate", None) or ""
    if state.startswith("08") or state in _GOING_AWAY:
        return (
            UnknownOutcome(f"PostgreSQL went away: {error}")
            if writing
            else Unavailable(f"PostgreSQL went away: {error}")
        )
    if state.startswith(_LOGIN):
        return ConfigError(
            f"PostgreSQL refuses the login: {error}",
            hint="Check postgres.dsn and postgres.password_file.",
        )
    if state.startswith(_SCHEMA):
        return ConfigError(
            f"the database does not fit this release: {error}",
            hint="Run the migrations (`eyrie up` does).",
        )
    if state.startswith(_DATA):
        return BadInput(f"a value cannot be stored: {error}")
    if state == _CHECK and getattr(error, "constraint_name", None) is None:
        # A partition's own bounds: the row was routed to the default partition while its day was
        # being attached. Nothing was stored.
        return Unavailable(f"PostgreSQL was just making the partition: {error}")
    if state.startswith(_INTEGRITY):
        return Conflict(f"PostgreSQL refuses the row: {error}")
    if state in _FULL:
        return Full(f"PostgreSQL has no room: {error}")
    if state in _READ_ONLY:
        return ReadOnly(f"PostgreSQL takes no writes: {error}")
    return Unavailable(f"PostgreSQL ({state}): {error}")


@contextmanager
def connecting() -> Iterator[None]:
    """Translate failures of getting a connection: nothing was sent, so nothing is unknown."""
    try:
        yield
    except asyncpg.PostgresError as error:
        translated = _of_server(error, writing=False)
        raise translated from error
    except ValueError as error:  # asyncpg's word for a DSN it cannot read
        raise ConfigError(f"postgres.dsn cannot be used: {error}") from error
    except (
        asyncpg.TargetServerAttributeNotMatched
    ) as error:  # of several hosts in the DSN, none is what `target_session_attrs` asks for
        raise ReadOnly(f"PostgreSQL cannot be reached: {error}") from error
    except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError) as error:
        why = "no connection in time" if isinstance(error, TimeoutError) else str(error)
        raise Unavailable(
            f"PostgreSQL cannot be reached: {why}", hint="Is it running, and is postgres.dsn right?"
        ) from error
