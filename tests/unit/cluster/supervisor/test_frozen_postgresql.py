"""PostgreSQL stands still (it takes connections and answers nothing): what the supervisor judges by
what it sees goes on, by the orders that are known."""

import asyncio
from collections.abc import Callable
from typing import Any

from cluster.planning.placement import NodeView
from tests.support.cluster.supervisor_rig import Rig, Scale
from tests.support.waiting import until


async def never(*_asked: Any, **_by_name: Any) -> Any:
    """As PostgreSQL answers that stands still."""
    await asyncio.Event().wait()


async def test_a_camera_whose_process_dies_is_started_again_by_the_orders_that_are_known(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs("a")
    await rig.supervisor.start()
    first = (await rig.placed("a"))["a"]
    rig.stores.cluster.orders = never  # type: ignore[method-assign]
    rig.supervisor.wake()
    rig.machine.processes[first].die()
    await until(lambda: rig.stores.cameras.owner["a"] != first, what="another process")


async def test_a_camera_that_cannot_be_looked_up_keeps_nobody_else_waiting(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs("a")
    await rig.supervisor.start()
    first = (await rig.placed("a"))["a"]
    rig.stores.cameras.owners = never  # type: ignore[method-assign]
    assert await rig.supervisor.ensure(["new"]) == {}
    rig.machine.processes[first].die()
    await until(lambda: rig.stores.cameras.owner["a"] != first, what="another process")
    assert not [process for process in rig.machine.of_cameras() if process.name.startswith("new")]


async def test_every_process_of_a_lost_node_is_replaced_whatever_can_be_written_of_it(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs("a", "b")
    rig.machine.of_nodes.append(NodeView("there", cores=2))
    await rig.want(hubs=Scale(2))
    await rig.supervisor.start()
    await rig.supervisor.ready(20.0)
    await rig.placed("a", "b")
    lost = [process for process in rig.machine.processes.values() if process.node == "there"]
    cameras = [process for process in lost if process in rig.machine.of_cameras()]
    assert 0 < len(cameras) < len(lost), "both a camera and a hub or a policy replica are there"
    thawed, actors = asyncio.Event(), rig.stores.actors
    beat, remove = actors.beat, actors.remove

    async def waits(name: str) -> bool:
        await thawed.wait()
        return await beat(name)

    async def waits_too(name: str) -> None:
        await thawed.wait()
        await remove(name)

    actors.beat, actors.remove = waits, waits_too  # type: ignore[method-assign]
    try:
        rig.machine.of_nodes[1] = NodeView("there", cores=2, alive=False)
        await until(lambda: all(process.killed for process in lost), what="the end of all")
    finally:
        thawed.set()
