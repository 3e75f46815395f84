"""The autoscaler over doubles: it asks, decides, writes the shape, and asks for room."""

from collections.abc import Callable

from cluster.planning.placement import NodeView
from cluster.planning.scaling import GROW_AFTER_S
from cluster.supervisor.autoscaler import SELF
from storage.ports.cluster import Scale
from tests.support.cluster.supervisor_rig import Rig
from tests.support.waiting import until


async def test_busy_hubs_become_more_and_it_is_told_why(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    await rig.supervisor.start()
    await rig.supervisor.ready(10.0)
    rig.machine.processes["hub-0"].cpu = 1.4
    look = rig.supervisor._autoscaler.decide
    await look(0.0)
    await look(GROW_AFTER_S + 1)
    assert rig.stores.cluster.wanted is None, "nobody made it auto"
    await rig.want(hubs=Scale(1, 1, 3, True))
    await until(lambda: rig.supervisor.fleet.version == 1, what="the new shape")
    await look(100.0)
    await look(100.0 + GROW_AFTER_S)
    stored = rig.stores.cluster.wanted
    assert stored is not None
    assert (stored.who, stored.wanted.hubs) == (SELF, Scale(2, 1, 3, True))
    await until(
        lambda: rig.supervisor.status()["services"].get("hub-1") == "ready", what="the second hub"
    )
    await until(
        lambda: any("2 of hub wanted" in decision.what for decision in rig.stores.cluster.log),
        what="the decision",
    )


async def test_room_is_asked_for_when_the_nodes_have_too_little(rigs: Callable[..., Rig]) -> None:
    rig = rigs("a", "b", "c")
    rig.machine.of_nodes = [NodeView("here", cores=2, slots=2, head=True)]
    await rig.supervisor.start()
    await rig.supervisor.ensure(["a", "b", "c"])
    await rig.supervisor._autoscaler.decide(0.0)
    assert rig.machine.requested == 3
