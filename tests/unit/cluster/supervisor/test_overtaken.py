"""What happens beside the supervisor while it decides: an outage that ends, a person who is faster,
another owner."""

from collections.abc import Callable

import pytest

from cluster.planning.scaling import GROW_AFTER_S
from cluster.supervisor.autoscaler import SELF
from storage.ports.cluster import Scale, WantedShape
from tests.support.cluster.supervisor_rig import Rig
from tests.support.waiting import until


async def test_a_process_has_time_to_renew_after_postgresql_was_away(
    rigs: Callable[..., Rig],
) -> None:
    """Nobody could renew for longer than a dead process is waited for; the first look afterwards
    finds the heartbeats as old as that."""
    rig = rigs("a", actor_dead_after_s=1.0)
    await rig.supervisor.start()
    name = (await rig.placed("a"))["a"]
    actors = rig.stores.actors
    await until(lambda: actors.clock_us > 1, what="a look at the heartbeats")
    actors.silent.add(name)
    actors.away, before = True, actors.refused
    await until(lambda: actors.refused >= before + 5, what="an outage of two seconds and more")
    looks = actors.clock_us
    actors.away = False
    await until(lambda: actors.clock_us > looks, what="the first look after it")
    actors.silent.discard(name)
    await until(lambda: actors.clock_us > looks + 3, what="further looks")
    assert not rig.machine.processes[name].killed
    assert rig.stores.cameras.owner["a"] == name


async def test_the_autoscaler_yields_to_who_changed_the_shape_while_it_looked(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = rigs()
    await rig.want(hubs=Scale(1, 1, 3, True))
    await rig.supervisor.start()
    await rig.supervisor.ready(20.0)
    cluster, hub = rig.stores.cluster, rig.machine.processes["hub-0"]
    assert rig.supervisor.fleet.version == 1
    hub.cpu = 1.4
    look = rig.supervisor._autoscaler.decide
    await look(0.0)
    hers = WantedShape(hubs=Scale(1, 1, 2, True))

    async def load(timeout_s: float) -> float:
        assert await cluster.want(hers, expected=1, who="ann") == 2
        return 1.4

    monkeypatch.setattr(hub, "load", load)
    await look(GROW_AFTER_S + 1.0)
    assert cluster.wanted is not None
    assert (cluster.wanted.who, cluster.wanted.wanted) == ("ann", hers)
    assert cluster.wanted.who != SELF


async def test_a_camera_that_another_took_meanwhile_is_not_adopted_beside_it(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = rigs("a")
    await rig.supervisor.start()
    cameras, asked = rig.stores.cameras, list[str]()
    kept = cameras.assign

    async def assign(camera: str, owner: str | None, *, previous: str | None) -> bool:
        asked.append(camera)
        if len(asked) == 1:
            cameras.owner[camera] = "another"
        return await kept(camera, owner, previous=previous)

    monkeypatch.setattr(cameras, "assign", assign)
    await rig.placed("a")
    assert len(asked) > 1
    assert rig.supervisor.fleet.restarts.get("a", 0) == 0, "it was tried where it is not owned"
