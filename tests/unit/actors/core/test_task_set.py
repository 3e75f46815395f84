"""A task that runs for ever and ends by a mistake is reported, since nothing else would notice; one
that was cancelled is not. Errors are logged."""

import asyncio
import contextlib
import logging

import pytest

from actors.core.task_set import TaskSet
from tests.support.waiting import until

log = logging.getLogger("eyrie.tests.tasks")


async def once() -> None:
    """Ends at once."""


async def mistaken() -> None:
    raise LookupError("a mistake")


async def for_ever() -> None:
    await asyncio.Event().wait()


async def orderly() -> None:
    """Ends when it is told to, without a word."""
    with contextlib.suppress(asyncio.CancelledError):
        await for_ever()


async def test_only_a_loop_that_ends_by_itself_is_reported() -> None:
    told: list[str] = []
    tasks = TaskSet(log, told.append)
    tasks.spawn(once(), "once")
    tasks.spawn(mistaken(), "mistaken")
    await tasks.join()
    dropped = tasks.spawn(orderly(), "dropped", forever=True)
    await asyncio.sleep(0)
    dropped.cancel()
    await tasks.join()
    assert told == []
    tasks.spawn(mistaken(), "first", forever=True)
    tasks.spawn(once(), "second", forever=True)
    await until(lambda: len(told) == 2, what="both")
    assert tasks.failed in {"first", "second"}
    assert sorted(told) == ["first ended: LookupError('a mistake')", "second ended"]
    for work in (for_ever(), orderly()):
        tasks.spawn(work, forever=True)
    await asyncio.sleep(0)
    await tasks.close()
    assert (len(told), len(tasks)) == (2, 0)


async def test_any_mistake_counts_where_nothing_may_fail() -> None:
    told: list[str] = []
    tasks = TaskSet(log, told.append, strict=True)
    tasks.spawn(once(), "once")
    tasks.spawn(mistaken(), "reviews")
    await until(lambda: told != [], what="the mistake")
    assert (tasks.failed, told) == ("reviews", ["reviews ended: LookupError('a mistake')"])


async def test_what_a_task_raises_is_logged_with_its_name(caplog: pytest.LogCaptureFixture) -> None:
    tasks = TaskSet(log)
    tasks.spawn(mistaken(), "counting")
    tasks.spawn(mistaken(), "a loop without a listener", forever=True)
    await tasks.join()
    await until(lambda: not tasks, what="the end of both")
    assert {record.getMessage() for record in caplog.records} == {
        "counting has failed",
        "a loop without a listener has failed",
    }
    assert {record.name for record in caplog.records} == {log.name}


async def test_join_lets_tasks_finish_and_cancel_does_not() -> None:
    tasks, done = TaskSet(log), asyncio.Event()

    async def finish() -> None:
        await asyncio.sleep(0)
        done.set()

    tasks.spawn(finish())
    await tasks.join()
    assert done.is_set()
    endless = tasks.spawn(for_ever())
    await tasks.close()
    assert endless.cancelled()
