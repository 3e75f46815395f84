"""Which failure means what."""

import asyncpg
import pytest

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
from storage.postgres.errors import connecting, translate


@pytest.mark.parametrize(
    ("error", "family"),
    [
        (asyncpg.CharacterNotInRepertoireError("NUL"), BadInput),
        (asyncpg.NumericValueOutOfRangeError("bigint"), BadInput),
        (asyncpg.DataError("from asyncpg itself"), BadInput),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), BadInput),
        (OverflowError("too large"), BadInput),
        (asyncpg.UniqueViolationError("twice"), Conflict),
        (asyncpg.UndefinedTableError("positions"), ConfigError),
        (asyncpg.InvalidPasswordError("no"), ConfigError),
        (asyncpg.QueryCanceledError("statement timeout"), Unavailable),
        (asyncpg.LockNotAvailableError("lock timeout"), Unavailable),
        (asyncpg.DeadlockDetectedError("deadlock"), Unavailable),
        (asyncpg.DiskFullError("no space"), Full),
        (asyncpg.ReadOnlySQLTransactionError("a replica"), ReadOnly),
        (asyncpg.TooManyConnectionsError("53300"), Unavailable),
        (asyncpg.InterfaceError("connection is closed"), Unavailable),
    ],
)
def test_a_server_that_answers_has_done_nothing(error: Exception, family: type[EyrieError]) -> None:
    for writing in (False, True):
        assert type(translate(error, writing=writing)) is family


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        ConnectionResetError("reset"),
        asyncpg.ConnectionDoesNotExistError("closed in the middle"),
        asyncpg.AdminShutdownError("terminating"),
        asyncpg.CrashShutdownError("crash"),
    ],
)
def test_silence_makes_a_write_unknown(error: Exception) -> None:
    assert type(translate(error, writing=True)) is UnknownOutcome
    assert type(translate(error, writing=False)) is Unavailable


@pytest.mark.parametrize(
    "error",
    [TimeoutError(), ConnectionRefusedError("no"), asyncpg.CannotConnectNowError("starting up")],
)
def test_without_a_connection_nothing_is_unknown(error: Exception) -> None:
    with pytest.raises(Unavailable) as caught, connecting():
        raise error
    assert type(caught.value) is Unavailable


def test_hosts_of_which_none_takes_writes_are_a_store_that_only_reads() -> None:
    """asyncpg's word for it, with `target_session_attrs` in the DSN, is of none of its usual
    families."""
    with pytest.raises(ReadOnly), connecting():
        raise asyncpg.TargetServerAttributeNotMatched("none of the hosts matches")
    with pytest.raises(Unavailable), connecting():
        raise asyncpg.InternalClientError("the end of a server in the middle of something")
