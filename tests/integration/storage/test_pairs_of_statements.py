"""Two statements that write the same row, step by step: the first holds it, the second waits, and
then sees what the first has done."""

import asyncio

from storage.postgres.pool import Database
from storage.stores import Stores
from tests.support.store_rows import OWNER, SESSION, running


async def waits_for_a_lock(database: Database) -> None:
    async with asyncio.timeout(60):
        while not await database.fetch_value(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ):
            await asyncio.sleep(0.005)


async def test_a_session_that_is_opened_during_an_activation_finds_itself_fenced(
    stores: Stores,
) -> None:
    generation, position = (await running(stores.registry, stores.cameras, ["cam-1"]))["cam-1"]
    async with stores.database.transaction(writing=True) as activating:
        await activating.execute(
            "UPDATE positions SET generation = generation + 1 WHERE camera = 'cam-1'"
        )
        opening = asyncio.create_task(
            stores.cameras.open_session("cam-1", OWNER, generation, "newer")
        )
        await waits_for_a_lock(stores.database)
    assert await opening == "fenced"
    held = (await stores.cameras.ownership(["cam-1"]))["cam-1"]
    assert (held.generation, held.position.session) == (generation + 1, SESSION)
    assert held.position == position


async def test_an_assignment_that_waits_for_another_is_none(stores: Stores) -> None:
    await running(stores.registry, stores.cameras, ["cam-1"])
    async with stores.database.transaction(writing=True) as moving:
        await moving.execute("UPDATE positions SET owner = 'first' WHERE camera = 'cam-1'")
        late = asyncio.create_task(stores.cameras.assign("cam-1", "second", previous=OWNER))
        await waits_for_a_lock(stores.database)
    assert await late is False
    assert (await stores.cameras.owners())["cam-1"] == "first"


async def test_an_activation_that_waits_for_an_assignment_activates_nothing(
    stores: Stores,
) -> None:
    generation, _ = (await running(stores.registry, stores.cameras, ["cam-1"]))["cam-1"]
    async with stores.database.transaction(writing=True) as moving:
        await moving.execute("UPDATE positions SET owner = 'first' WHERE camera = 'cam-1'")
        late = asyncio.create_task(stores.cameras.activate(OWNER, ["cam-1"]))
        await waits_for_a_lock(stores.database)
    assert await late == []
    assert (await stores.cameras.ownership(["cam-1"]))["cam-1"].generation == generation
