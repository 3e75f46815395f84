"""What ended is started again, with pauses that grow, for as long as waiting may help."""

from pathlib import Path

import pytest

from actors.core.errors import ConfigError, NeverStarts, StartError
from cluster.launcher.restarts import FIRST_S, LONGEST_S, STEADY_S, Pauses, Restarts
from storage.embedded.data_dir import DataDir


class Clock:
    """Monotonic seconds, by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_pauses_grow_to_a_bound_and_begin_anew_once_it_worked_for_a_while() -> None:
    pauses, now = Pauses(), 0.0
    found = []
    for _ in range(9):
        found.append(pauses.ended("a", now))
        pauses.started("a", now)
    assert found == [0.0, FIRST_S, 2.0, 4.0, 8.0, 16.0, LONGEST_S, LONGEST_S, LONGEST_S]
    assert pauses.ended("b", now) == 0.0, "another child has a count of its own"
    assert pauses.ended("a", now + STEADY_S) == 0.0
    for _ in range(2_000):
        assert pauses.ended("a", now) <= LONGEST_S


def test_a_child_that_does_not_start_for_an_hour_is_not_given_up_and_starts_at_last(
    tmp_path: Path,
) -> None:
    clock, told, tries = Clock(), list[str](), list[float]()

    def start() -> None:
        tries.append(clock.now)
        if clock.now < 4_600.0:
            raise StartError("PostgreSQL ended while starting:\n    a log")

    restarts = Restarts(DataDir(tmp_path), told.append, now=clock)
    while not told or "is back" not in told[-1]:
        restarts.again("PostgreSQL", start)
        clock.now += 0.2
    assert 4_600.0 <= tries[-1] < 4_600.0 + LONGEST_S + 1
    assert len(tries) < 3_600 / LONGEST_S + 10
    assert told[0] == "PostgreSQL ended; starting it again"
    assert told[1].startswith(
        "PostgreSQL did not start: PostgreSQL ended while starting: a log; next try in 1 s. "
    )
    assert len(told) == len(tries) + 1, "one line for each try, and no more"


@pytest.mark.parametrize(
    "error",
    [ConfigError("postgres.dsn cannot be used"), NeverStarts("a database of another release")],
)
def test_what_no_waiting_mends_is_raised_at_once(tmp_path: Path, error: Exception) -> None:
    def start() -> None:
        raise error

    with pytest.raises(type(error)):
        Restarts(DataDir(tmp_path), lambda line: None).again("PostgreSQL", start)
