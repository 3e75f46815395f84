"""A loop of the supervisor that ends by a mistake is told, since nothing else would notice; what
ends as it should is not."""

import asyncio
import contextlib

import pytest

from actors.core.errors import Unavailable
from cluster.supervisor.supervisor import Supervisor
from cluster.supervisor.tasks import Tasks
from tests.support.cluster.supervisor_rig import Rig
from tests.support.waiting import until


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


async def test_only_the_end_of_what_was_to_run_for_ever_is_told() -> None:
    told: list[str] = []
    tasks = Tasks(told.append)
    await asyncio.gather(tasks.spawn(once()), tasks.spawn(mistaken()), return_exceptions=True)
    dropped = tasks.spawn(for_ever(), loop=True)
    tasks.drop(dropped)
    await asyncio.gather(dropped, return_exceptions=True)
    assert told == []
    await asyncio.gather(
        tasks.spawn(mistaken(), loop=True), tasks.spawn(once(), loop=True), return_exceptions=True
    )
    await until(lambda: len(told) == 2, what="both")
    for work in (for_ever(), orderly()):
        tasks.spawn(work, loop=True)
    await asyncio.sleep(0)
    await tasks.cancel()
    assert len(told) == 2


@pytest.mark.parametrize(
    ("error", "broken"),
    [(LookupError("a mistake"), True), (Unavailable("PostgreSQL is away"), False)],
)
async def test_a_supervisor_whose_loop_met_a_mistake_says_so_and_one_without_a_store_waits(
    error: Exception, broken: bool
) -> None:
    rig, told = Rig(("a",)), list[str]()
    supervisor = Supervisor(rig.settings, rig.stores, rig.machine, broken=told.append)
    asked = 0

    async def refuse() -> list[str]:
        nonlocal asked
        asked += 1
        raise error

    await supervisor.start()
    rig.stores.actors.all = refuse  # type: ignore[method-assign,assignment]
    try:
        await until(lambda: told or (asked > 2 and not broken), what="a word of it")
        assert bool(told) == broken
    finally:
        await supervisor.stop(1.0)
