"""The supervisor over doubles: starting, replacing, failing, stopping in order."""

from collections.abc import Callable

import pytest

from actors.core.errors import Unavailable
from cluster.planning.placement import NodeView
from cluster.supervisor import hosting
from cluster.supervisor.upkeep import deleted_cameras
from storage.ports.cluster import TroubleRecord
from storage.ports.processes import ActorRecord
from tests.support.cluster.supervisor_rig import Rig, Scale
from tests.support.waiting import until


async def test_policy_and_hubs_start_and_then_it_is_ready(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    await rig.supervisor.start()
    status = await rig.supervisor.ready(20.0)
    assert status["services"] == {"policy-0": "ready", "hub-0": "ready"}


async def test_hubs_that_start_at_the_same_time_go_to_different_nodes(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs()
    rig.machine.of_nodes.append(NodeView("there", cores=rig.machine.of_nodes[0].cores))
    rig.machine.of_nodes.append(NodeView("yonder", cores=rig.machine.of_nodes[0].cores))
    rig.machine.hold_opens = True
    await rig.want(hubs=Scale(3))
    await rig.supervisor.start()
    await until(
        lambda: {f"hub-{index}" for index in range(3)} <= set(rig.machine.processes),
        what="three hubs",
    )
    assert {rig.machine.processes[f"hub-{index}"].node for index in range(3)} == {
        "here",
        "there",
        "yonder",
    }


async def test_not_ready_in_time_names_what_is_late(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    rig.machine.hold_opens = True
    await rig.supervisor.start()
    with pytest.raises(Unavailable, match="hub-0"):
        await rig.supervisor.ready(0.05)


async def test_a_camera_gets_a_process_of_its_own_and_keeps_it(rigs: Callable[..., Rig]) -> None:
    rig = rigs("a", "b", "c")
    await rig.supervisor.start()
    placed = await rig.placed("a", "b", "c")
    assert len(set(placed.values())) == 3
    assert rig.stores.cameras.owner == placed
    assert await rig.placed("a", "b", "c") == placed


async def test_no_more_processes_start_at_once_than_there_are_cores(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs("a", "b", "c")
    await rig.supervisor.start()
    rig.machine.hold_opens = True
    assert await rig.supervisor.ensure(["a", "b", "c"]) == {}
    assert len(rig.machine.of_cameras()) == 2
    for process in rig.machine.of_cameras():
        process.gate.set()
    rig.machine.hold_opens = False
    await rig.placed("a", "b", "c")


async def test_cameras_are_packed_when_asked_for(rigs: Callable[..., Rig]) -> None:
    rig = rigs("a", "b", "c", cameras_per_actor=4)
    await rig.supervisor.start()
    placed = await rig.placed("a", "b")
    assert len(set(placed.values())) == 1
    assert await rig.placed("c") == {"c": placed["a"]}


async def test_a_dead_process_is_replaced_at_once(rigs: Callable[..., Rig]) -> None:
    rig = rigs("a")
    await rig.supervisor.start()
    first = (await rig.placed("a"))["a"]
    rig.machine.processes[first].die()
    await until(lambda: rig.stores.cameras.owner["a"] != first)
    second = (await rig.placed("a"))["a"]
    assert second != first
    assert first not in rig.stores.actors.records


async def test_a_camera_that_ended_two_processes_is_alone_until_it_is_released(
    rigs: Callable[..., Rig],
) -> None:
    cameras = ("a", "b", "c")
    rig = rigs(*cameras, cameras_per_actor=4)
    await rig.supervisor.start()
    placed = await rig.placed(*cameras)
    for _ in range(2):
        assert len(set(placed.values())) == 1
        assert not (rig.stores.cluster.troubles.get("b") or TroubleRecord("b")).alone
        first = placed["b"]
        rig.machine.notes[first] = "b"
        rig.machine.processes[first].die()
        await until(
            lambda gone=first: gone not in {rig.stores.cameras.owner[c] for c in cameras},  # type: ignore[misc]
            within_s=20.0,
        )
        placed = await rig.placed(*cameras)
    assert placed["a"] == placed["c"] != placed["b"]
    others = placed["a"]
    rig.machine.notes[placed["b"]] = "b"
    rig.machine.processes[placed["b"]].die()
    await until(lambda: rig.stores.cameras.owner["b"] != placed["b"], within_s=20.0)
    assert (await rig.placed(*cameras))["a"] == (await rig.placed(*cameras))["c"] == others, (
        "its neighbours go on"
    )
    await until(
        lambda: rig.stores.cluster.troubles["b"].alone and not rig.supervisor.fleet.unsaved,
        what="that it is written down",
    )
    assert not any(t.alone for camera, t in rig.stores.cluster.troubles.items() if camera != "b")
    assert await rig.stores.cluster.release("b")
    rig.supervisor.wake()
    await until(
        lambda: rig.stores.cameras.owner["b"] == others,
        within_s=20.0,
        what="that it is packed again",
    )


async def test_a_supervisor_that_starts_again_keeps_alone_who_was(rigs: Callable[..., Rig]) -> None:
    rig = rigs("a", "b", cameras_per_actor=4)
    await rig.stores.cluster.note_troubles([TroubleRecord("b", restarts=2, alone=True)])
    await rig.supervisor.start()
    placed = await rig.placed("a", "b")
    assert placed["a"] != placed["b"]


async def test_a_process_that_does_not_beat_is_replaced(rigs: Callable[..., Rig]) -> None:
    rig = rigs("a")
    await rig.supervisor.start()
    first = (await rig.placed("a"))["a"]
    rig.stores.actors.silent.add(first)
    await until(lambda: rig.stores.cameras.owner["a"] != first)
    assert rig.machine.processes[first].killed


async def test_a_camera_that_a_process_lost_is_placed_again_when_a_hub_doubts_it(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs("a")
    await rig.supervisor.start()
    first = (await rig.placed("a"))["a"]
    rig.machine.processes[first].hosted.clear()
    await rig.supervisor.ensure(["a"], [first])
    await until(
        lambda: "a" in rig.machine.processes[first].hosted or rig.stores.cameras.owner["a"] != first
    )


async def test_a_start_that_fails_is_held_back(rigs: Callable[..., Rig]) -> None:
    rig = rigs("a")
    await rig.supervisor.start()
    await rig.supervisor.ready(20.0)
    rig.machine.broken = True
    assert await rig.supervisor.ensure(["a"]) == {}
    held = rig.supervisor.status()["held"]["a"]
    assert held["failures"] >= 2
    assert "broken" in held["reason"]


async def test_an_unregistered_camera_is_not_started(rigs: Callable[..., Rig]) -> None:
    rig = rigs("a")
    await rig.supervisor.start()
    assert await rig.supervisor.ensure(["nobody"]) == {}
    assert rig.machine.of_cameras() == []


async def test_a_supervisor_that_starts_again_keeps_living_processes_and_replaces_dead_ones(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs("a", "b")
    await rig.stores.actors.put(ActorRecord("alive"))
    await rig.stores.actors.put(ActorRecord("dead"))
    rig.stores.cameras.owner.update(a="alive", b="dead")
    process = rig.machine.start_cameras("alive", 1)
    rig.machine.processes["alive"].hosted["a"] = {}
    await rig.supervisor.start()
    placed = await rig.placed("a", "b")
    assert placed["a"] == process.name
    assert placed["b"] not in ("alive", "dead")
    assert "dead" not in rig.stores.actors.records


async def test_a_dead_hub_is_started_again(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    await rig.supervisor.start()
    await rig.supervisor.ready(20.0)
    first = rig.machine.processes["hub-0"]
    first.die()
    await until(lambda: rig.machine.started.count("hub-0") == 2)
    assert (
        first.killed
    )  # what says that it is of no more use may still live, under the name that the next one needs
    await rig.supervisor.ready(20.0)


async def test_postgresql_away_for_a_while_loses_no_process(rigs: Callable[..., Rig]) -> None:
    rig = rigs("a", "b")
    await rig.supervisor.start()
    first = await rig.placed("a")
    rig.stores.cameras.away = True
    assert await rig.supervisor.ensure(["b"]) == {}
    rig.stores.cameras.away = False
    assert (await rig.placed("a", "b"))["a"] == first["a"]


async def test_hubs_stop_first_then_cameras_then_policy(rigs: Callable[..., Rig]) -> None:
    rig = rigs("a")
    await rig.supervisor.start()
    await rig.supervisor.ready(20.0)
    placed = await rig.placed("a")
    assert await rig.supervisor.stop(1.0)
    assert rig.machine.stops == ["hub-0", placed["a"], "policy-0"]
    assert rig.stores.actors.records == {}


async def test_a_deleted_camera_is_wanted_no_more_and_its_process_ends(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleted_cameras, "RETIRE_S", 0.02)
    rig = rigs("cam-1", "cam-2")
    await rig.supervisor.start()
    await rig.placed("cam-1", "cam-2")
    del rig.stores.cameras.owner["cam-1"]
    await until(
        lambda: (
            rig.supervisor.status()["wanted"] == 1 and len(rig.supervisor.status()["actors"]) == 1
        )
    )
    assert list(rig.supervisor.status()["actors"][0]["cameras"]) == ["cam-2"]
    assert await rig.supervisor.ensure(["cam-1"]) == {}


async def test_a_camera_that_was_assigned_and_never_activated_is_placed_again(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs("a")
    await rig.stores.actors.put(ActorRecord("alive"))
    rig.stores.cameras.owner.update(a="alive")
    rig.machine.start_cameras("alive", 1)  # the supervisor before this one died between the two
    await rig.supervisor.start()
    await rig.placed("a")


async def test_a_living_process_is_asked_until_it_says_what_it_hosts(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs("a")
    await rig.stores.actors.put(ActorRecord("alive"))
    rig.stores.cameras.owner.update(a="alive")
    rig.machine.start_cameras("alive", 1)
    process = rig.machine.processes["alive"]
    process.hosted["a"] = {}
    process.mute = 1
    await rig.supervisor.start()
    assert await rig.placed("a") == {"a": "alive"}


async def test_a_process_goes_on_when_it_cannot_be_given_more(rigs: Callable[..., Rig]) -> None:
    rig = rigs("a", "b", cameras_per_actor=4)
    await rig.supervisor.start()
    first = await rig.placed("a")
    rig.stores.cameras.away = rig.stores.actors.away = True
    assert await rig.supervisor.ensure(["b"]) == {}
    assert not rig.machine.processes[first["a"]].killed
    rig.stores.cameras.away = rig.stores.actors.away = False
    assert (await rig.placed("a"))["a"] == first["a"]


async def test_postgresql_away_is_no_failure_of_a_camera(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosting, "AWAY_S", 0.01)
    rig = rigs("a")
    await rig.supervisor.start()
    rig.stores.cameras.away = rig.stores.actors.away = True
    rig.supervisor.fleet.owners = {"a": None}
    await rig.supervisor.ensure(["a"])
    await until(lambda: len(rig.machine.started) > 12, what="ten attempts")
    assert rig.supervisor.status()["held"]["a"]["failures"] == 0
    rig.stores.cameras.away = rig.stores.actors.away = False
    await rig.placed("a")


async def test_while_postgresql_only_reads_nobody_is_replaced_for_heartbeats_that_cannot_be_renewed(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs("a", "b", actor_dead_after_s=0.2)
    await rig.supervisor.start()
    first = await rig.placed("a", "b")
    rig.stores.actors.only_reads = True
    rig.stores.actors.silent |= set(first.values())
    looks = rig.stores.actors.clock_us
    await until(lambda: rig.stores.actors.refused >= 5, what="that heartbeats were tried")
    assert rig.stores.actors.clock_us == looks, "nobody is judged by what cannot be renewed"
    assert rig.stores.cameras.owner == first
    rig.stores.actors.only_reads = False
    await until(
        lambda: rig.stores.cameras.owner["a"] != first["a"],
        what="that who stays silent is replaced",
    )


async def test_a_full_postgresql_is_no_failure_of_a_camera(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosting, "AWAY_S", 0.01)
    rig = rigs("a")
    await rig.supervisor.start()
    rig.machine.full = True
    await rig.supervisor.ensure(["a"])
    await until(lambda: len(rig.machine.started) > 12, what="ten attempts")
    assert rig.supervisor.status()["held"]["a"]["failures"] == 0
    rig.machine.full = False
    await rig.placed("a")


async def test_a_hub_that_hangs_does_not_take_the_time_of_the_last_commits(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs("a")
    await rig.supervisor.start()
    await rig.supervisor.ready(10.0)
    placed = await rig.placed("a")
    rig.machine.processes["hub-0"].hangs = True
    await rig.supervisor.stop(2.0)
    assert rig.machine.processes[placed["a"]].grace_s > 0.7


async def test_a_loop_that_ends_by_a_mistake_is_told(rigs: Callable[..., Rig]) -> None:
    rig = rigs("a")
    await rig.supervisor.start()
    rig.machine.start_cameras = None  # type: ignore[method-assign,assignment]
    await rig.supervisor.ensure(["a"])
    await until(lambda: rig.broken, what="a word of it")
    assert rig.broken[0].startswith("reconciling ended: TypeError")


@pytest.mark.parametrize(
    ("error", "broken"),
    [(LookupError("a mistake"), True), (Unavailable("PostgreSQL is away"), False)],
)
async def test_a_supervisor_whose_loop_met_a_mistake_says_so_and_one_without_a_store_waits(
    rigs: Callable[..., Rig], error: Exception, broken: bool
) -> None:
    rig = rigs("a")
    asked = 0

    async def refuse() -> list[str]:
        nonlocal asked
        asked += 1
        raise error

    await rig.supervisor.start()
    rig.stores.actors.all = refuse  # type: ignore[method-assign,assignment]
    await until(lambda: rig.broken or (asked > 2 and not broken), what="a word of it")
    assert bool(rig.broken) == broken
