"""Which connections are used again: never one on which an answer may still come."""

import asyncio

import asyncpg
import pytest

from actors.core.errors import Conflict, EyrieError, Unavailable, UnknownOutcome
from storage.postgres.pool import answering


class Connection:
    """Whether it was cut."""

    terminated = False

    def terminate(self) -> None:
        self.terminated = True


@pytest.mark.parametrize("writing", [True, False])
@pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError(), OSError("gone")])
def test_a_connection_whose_answer_may_be_under_way_is_cut(
    error: BaseException, writing: bool
) -> None:
    connection = Connection()
    with (
        pytest.raises(UnknownOutcome if writing else Unavailable),
        answering(connection, writing=writing),
    ):
        raise error
    assert connection.terminated


def test_a_statement_that_was_cancelled_leaves_no_connection_behind() -> None:
    connection = Connection()
    with pytest.raises(asyncio.CancelledError), answering(connection, writing=True):
        raise asyncio.CancelledError
    assert connection.terminated


@pytest.mark.parametrize("error", [Conflict("late"), asyncpg.UniqueViolationError("twice")])
def test_a_connection_that_has_answered_goes_on(error: Exception) -> None:
    connection = Connection()
    with pytest.raises(EyrieError), answering(connection, writing=True):
        raise error
    assert not connection.terminated
