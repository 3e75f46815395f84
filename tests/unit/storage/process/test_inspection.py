"""Log levels that end by themselves, and a profile that finds the thread that works."""

import logging
import threading
from collections.abc import Iterator

import pytest

from actors.core.errors import BadInput, Conflict
from storage.process.inspection import MAX_PROFILE_S, LogLevel, inspect, profile
from tests.support.waiting import block_until


@pytest.fixture
def root() -> logging.Logger:
    return logging.Logger("root-of-a-test", logging.INFO)


@pytest.fixture
def busy() -> Iterator[threading.Event]:
    """A thread that works until told to stop."""
    over = threading.Event()

    def burn_the_midnight_oil() -> None:
        while not over.is_set():
            sum(range(1000))

    thread = threading.Thread(target=burn_the_midnight_oil, name="worker;1")
    thread.start()
    yield over
    over.set()
    thread.join()


def test_a_level_ends_by_itself(root: logging.Logger) -> None:
    level = LogLevel(root)
    assert level.show() == {"level": "info", "base": "info", "left_s": None}
    shown = level.set("debug", 0.05)
    assert (shown["level"], shown["base"], root.level) == ("debug", "info", logging.DEBUG)
    block_until(lambda: root.level == logging.INFO, "the level of before")
    assert level.show()["left_s"] is None


def test_the_last_one_counts_and_the_first_level_comes_back(root: logging.Logger) -> None:
    level = LogLevel(root)
    level.set("debug", 60.0)
    assert level.set("error", 60.0)["base"] == "info"
    assert level.set("", 0.0) == {"level": "info", "base": "info", "left_s": None}
    for wrong in ("loud", 1.0), ("debug", 0.0), ("debug", 1e9):
        with pytest.raises(BadInput):
            level.set(*wrong)


def test_a_profile_finds_who_works(busy: threading.Event) -> None:
    found = profile(0.2, 100)
    assert found["samples"] >= 2
    line = next(line for line in found["stacks"].splitlines() if "burn_the_midnight_oil" in line)
    stack, _, count = line.rpartition(" ")
    assert int(count) >= 1
    assert "threading.Thread.run" in stack
    assert not any("_sample" in line for line in found["stacks"].splitlines())


def test_one_profile_at_a_time_and_bounded(busy: threading.Event) -> None:
    first = threading.Thread(target=profile, args=(1.0, 10))
    first.start()
    try:
        block_until(_refused, "a profile under way")
    finally:
        first.join()
    with pytest.raises(BadInput):
        profile(MAX_PROFILE_S + 1, 10)
    with pytest.raises(BadInput):
        inspect("explode", {})


def _refused() -> bool:
    try:
        profile(0.01, 1)
    except Conflict:
        return True
    return False
