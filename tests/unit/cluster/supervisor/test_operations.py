"""Orders and operations over doubles: moved, packed, drained, scaled, paused, quarantined,
restarted, cancelled, resumed."""

import asyncio
from collections.abc import Callable

import pytest

from actors.core.errors import BadInput, NotFound
from cluster.planning.placement import NodeView
from cluster.supervisor.supervisor import Supervisor
from storage.ports.cluster import Density, Scale
from tests.support.cluster.supervisor_rig import Rig
from tests.support.waiting import until

CAMERAS = tuple(f"cam-{number}" for number in range(6))


def hosts(rig: Rig) -> dict[str, str]:
    """Camera → the living process that says it hosts it. Never more than one."""
    found: dict[str, str] = {}
    for process in rig.machine.of_cameras():
        for camera in process.hosted:
            assert camera not in found, f"{camera} lives twice"
            found[camera] = process.name
    return found


async def started(rig: Rig, *cameras: str) -> dict[str, str]:
    await rig.supervisor.start()
    await rig.supervisor.ready(20.0)
    return await rig.placed(*cameras)


async def test_a_moved_camera_lives_in_another_process_and_the_empty_one_ends(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs("a", "b")
    before = await started(rig, "a", "b")
    operation = await rig.over(await rig.ask("move", "a"))
    after = await rig.placed("a", "b")
    assert after["a"] != before["a"]
    assert after["b"] == before["b"]
    assert rig.stores.cameras.owner["a"] == after["a"]
    assert operation.figures["interruptions"] == 1.0
    assert operation.figures["interruption_p99_s"] < 1.0
    await until(
        lambda: rig.machine.processes[before["a"]].killed, what="the end of the empty process"
    )
    assert hosts(rig) == after
    told = [decision.what for decision in rig.stores.cluster.log if decision.subject == "camera:a"]
    assert any("moved" in what for what in told)


async def test_what_cannot_be_moved_fails_with_its_reason(rigs: Callable[..., Rig]) -> None:
    rig = rigs("a", "b")
    await started(rig, "a")
    assert "not registered" in (await rig.over(await rig.ask("move", "nobody"), "failed")).detail
    assert "does not run" in (await rig.over(await rig.ask("move", "b"), "failed")).detail
    assert (
        "no process x" in (await rig.over(await rig.ask("move", "a", actor="x"), "failed")).detail
    )
    assert "no other node" in (await rig.over(await rig.ask("drain", "here"), "failed")).detail
    assert "not known" in (await rig.over(await rig.ask("dance", "a"), "failed")).detail


@pytest.mark.parametrize("density", [1, 4])
async def test_a_density_is_settled_live_and_back(rigs: Callable[..., Rig], density: int) -> None:
    rig = rigs(*CAMERAS, cameras_per_actor=5 - density)
    await started(rig, *CAMERAS)
    for wanted, processes in ((density, -(-6 // density)), (5 - density, -(-6 // (5 - density)))):
        await rig.want(density=Density(wanted))
        await rig.over(await rig.ask("settle", "density"))
        await until(
            lambda processes=processes: len(rig.machine.of_cameras()) == processes,  # type: ignore[misc]
            what=f"{processes} processes",
        )
        assert set(hosts(rig)) == set(CAMERAS)
        assert {process.capacity for process in rig.machine.of_cameras()} == {wanted}
        assert await rig.placed(*CAMERAS) == hosts(rig)


async def test_each_site_has_its_density_and_a_camera_may_be_alone(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs(*CAMERAS)
    rig.stores.cameras.site.update(dict.fromkeys(CAMERAS[:4], "north"))
    await rig.want(density=Density(1, {"north": 4}))
    placed = await started(rig, *CAMERAS)
    assert len({placed[camera] for camera in CAMERAS[:4]}) == 1
    assert len(set(placed.values())) == 3
    await rig.stores.cluster.order("camera", "cam-0", alone=True, who="ann")
    rig.supervisor.wake()
    await until(
        lambda: len(set(hosts(rig).values())) == 4 and len(hosts(rig)) == 6,
        what="a process of its own",
    )


async def test_a_node_is_drained_services_too(rigs: Callable[..., Rig]) -> None:
    rig = rigs("a", "b", "c")
    rig.machine.of_nodes = [NodeView("here", cores=2, head=True), NodeView("there", cores=2)]
    await started(rig, "a", "b", "c")
    nodes = {rig.machine.processes[name].node for name in hosts(rig).values()}
    assert nodes == {"here", "there"}
    operation = await rig.over(await rig.ask("drain", "there"))
    assert "head" not in operation.detail
    assert {rig.machine.processes[name].node for name in hosts(rig).values()} == {"here"}
    assert all(p.node == "here" for p in rig.machine.processes.values() if not p.dead.is_set())
    assert len(hosts(rig)) == 3
    assert operation.done == operation.total > 0
    assert rig.machine.let_go == ["there"]
    assert [cordon.node for cordon in rig.stores.cluster.cordoned.values()] == ["there"]
    await rig.placed("a", "b", "c")


async def test_the_only_hub_of_a_drained_node_gets_a_second_one_first(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs()
    rig.machine.of_nodes = [NodeView("here", cores=2, head=True), NodeView("there", cores=2)]
    await started(rig)
    first = rig.machine.processes["hub-0"]
    operation = await rig.over(await rig.ask("drain", first.node))
    assert ("Ray's head" in operation.detail) == (first.node == "here")
    assert rig.machine.let_go == ([] if first.node == "here" else [first.node])
    order = [name for name in rig.machine.started if name.startswith("hub-")]
    assert order == ["hub-0", "hub-1", "hub-0"]
    assert first.stopped
    assert rig.machine.processes["hub-0"].node != first.node
    await until(lambda: rig.machine.processes["hub-1"].stopped, what="the end of the second hub")
    await rig.supervisor.ready(10.0)
    assert list(rig.supervisor.status()["services"]) == ["policy-0", "hub-0"]


async def test_a_cancelled_drain_stops_and_a_started_one_goes_on_under_the_next_supervisor(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs("a", "b")
    rig.machine.of_nodes = [NodeView("here", cores=2, head=True), NodeView("there", cores=2)]
    await started(rig, "a", "b")
    rig.machine.hold_opens = True  # replacements do not come up
    id = await rig.ask("drain", "there")
    await until(lambda: rig.stores.cluster.asked[id].state == "running", what="the drain")
    assert await rig.stores.cluster.cancel(id, who="ann")
    rig.supervisor.wake()
    await until(lambda: not rig.supervisor.fleet.errands.leaving, what="an end of the errand")
    again = await rig.ask("drain", "there")
    await until(lambda: rig.stores.cluster.asked[again].state == "running", what="the second drain")
    await rig.supervisor._tasks.close()  # it dies
    rig.machine.hold_opens = False
    for process in rig.machine.processes.values():
        process.gate.set()
    rig.supervisor = Supervisor(rig.settings, rig.stores, rig.machine)
    await rig.supervisor.start()
    await rig.over(again)
    assert {rig.machine.processes[name].node for name in (await rig.placed("a", "b")).values()} == {
        "here"
    }


async def test_hubs_grow_and_shrink_from_the_highest(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    await started(rig)
    await rig.want(hubs=Scale(3, 1, 3))
    await rig.over(await rig.ask("settle", "hubs"))
    assert rig.supervisor.status()["services"] == {
        "policy-0": "ready",
        "hub-0": "ready",
        "hub-1": "ready",
        "hub-2": "ready",
    }
    await rig.want(hubs=Scale(1, 1, 3))
    await rig.over(await rig.ask("settle", "hubs"))
    assert rig.machine.stops == ["hub-2", "hub-1"]
    assert rig.supervisor.status()["services"] == {"policy-0": "ready", "hub-0": "ready"}


async def test_hubs_beyond_the_count_that_were_found_alive_end(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    await rig.machine.start_hub(4)
    await rig.supervisor.start()
    await until(lambda: rig.machine.stops == ["hub-4"], what="the end of hub 4")
    await rig.supervisor.ready(10.0)


async def test_paused_cameras_are_told_before_they_start_and_while_they_run(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs("a", "b", cameras_per_actor=2)
    rig.stores.cameras.site["b"] = "north"
    await rig.stores.cluster.order("site", "north", paused=True, who="ann")
    placed = await started(rig, "a", "b")
    process = rig.machine.processes[placed["a"]]
    assert process.paused == ["b"]
    await rig.stores.cluster.order("camera", "a", paused=True, who="ann")
    rig.supervisor.wake()
    await until(lambda: process.paused == ["a", "b"], what="the pause")
    await rig.stores.cluster.order("site", "north", paused=False, who="ann")
    await rig.stores.cluster.order("camera", "a", paused=False, who="ann")
    rig.supervisor.wake()
    await until(lambda: process.paused == [], what="the end of the pause")
    assert not any(camera.paused for camera in rig.supervisor.snapshot().cameras)


async def test_a_camera_quarantined_by_hand_stays_away_until_it_is_released(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs("a", "b")
    await started(rig, "a", "b")
    assert await rig.stores.cluster.quarantine("a", reason="it smokes", who="ann")
    rig.supervisor.wake()
    await until(lambda: "a" not in hosts(rig), what="its end")
    assert await rig.supervisor.ensure(["a"]) == {}
    (state,) = [camera for camera in rig.supervisor.snapshot().cameras if camera.camera == "a"]
    assert (state.phase, state.quarantined, state.last_error, state.by) == (
        "quarantined",
        True,
        "it smokes",
        "ann",
    )
    await rig.stores.cluster.release("a")
    rig.supervisor.wake()
    await rig.placed("a", "b")


async def test_a_quarantine_outlives_the_supervisor_and_a_release_ends_it(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs("a")
    await started(rig)
    rig.machine.refuses["a"] = "it is broken"
    for _ in range(8):  # as if it had failed before
        rig.supervisor._hosting.note_failure({"a": 0.0}, "it is broken")
    rig.supervisor.wake()
    await until(
        lambda: "a" in rig.stores.cluster.troubles and rig.stores.cluster.troubles["a"].quarantined,
        what="the record",
    )
    await rig.supervisor._tasks.close()
    rig.machine.refuses.clear()
    rig.supervisor = Supervisor(rig.settings, rig.stores, rig.machine)
    await rig.supervisor.start()
    assert await rig.supervisor.ensure(["a"]) == {}
    await rig.stores.cluster.release("a")
    rig.supervisor.wake()
    await rig.placed("a")


async def test_processes_and_hubs_are_restarted_one_by_one(rigs: Callable[..., Rig]) -> None:
    rig = rigs("a", "b", cameras_per_actor=2)
    before = await started(rig, "a", "b")
    await rig.over(await rig.ask("restart", before["a"]))
    after = await rig.placed("a", "b")
    assert set(after.values()).isdisjoint(before.values())
    await rig.over(await rig.ask("restart", "hub-0"))
    assert rig.machine.started.count("hub-0") == 2
    assert "does not run" in (await rig.over(await rig.ask("restart", "hub-7"), "failed")).detail


async def test_cameras_are_spread_over_a_node_that_joins(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.supervisor.operations.RESIDENCE_S", 0.0)
    monkeypatch.setattr("cluster.supervisor.supervisor.NODES_S", 0.01)
    rig = rigs(*CAMERAS)
    await started(rig, *CAMERAS)
    rig.machine.of_nodes = [*rig.machine.of_nodes, NodeView("there", cores=2)]
    await until(lambda: len(rig.supervisor.fleet.nodes) == 2, what="the second node")
    await rig.over(await rig.ask("rebalance", "cluster"))
    nodes = [rig.machine.processes[name].node for name in hosts(rig).values()]
    assert (nodes.count("here"), nodes.count("there")) == (3, 3)
    assert "nothing more improves" in (await rig.over(await rig.ask("rebalance", "cluster"))).detail


async def test_what_a_silent_node_had_is_replaced_elsewhere(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.supervisor.supervisor.NODES_S", 0.01)
    rig = rigs("a", "b")
    both = [NodeView("here", cores=2, head=True), NodeView("there", cores=2)]
    rig.machine.of_nodes = list(both)
    await started(rig, "a", "b")
    rig.machine.of_nodes = [both[0], NodeView("there", cores=2, alive=False)]
    await until(
        lambda: (
            all(rig.machine.processes[name].node == "here" for name in hosts(rig).values())
            and len(hosts(rig)) == 2
        )
    )
    await rig.placed("a", "b")


async def test_targets_that_do_not_start_are_held_back_and_nothing_leaves_its_source(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs("a", "b")
    before = await started(rig, "a", "b")
    rig.machine.broken = True
    count = len(rig.machine.started)
    await rig.want(density=Density(2))
    await until(
        lambda: (
            rig.supervisor.fleet.move_trouble.failures >= 2
            and len(rig.machine.started) >= count + 2
        ),
        what="two attempts",
    )
    assert rig.supervisor.fleet.move_trouble.held_until > 0
    assert hosts(rig) == before == await rig.placed("a", "b")
    rig.machine.broken = False
    await until(lambda: len(set(hosts(rig).values())) == 1, what="the move")


async def test_a_node_that_ray_takes_away_is_left_unless_it_is_the_last(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.supervisor.supervisor.NODES_S", 0.01)
    rig = rigs("a", "b")
    rig.machine.of_nodes = [NodeView("here", cores=2, head=True), NodeView("there", cores=2)]
    await started(rig, "a", "b")
    rig.machine.of_nodes = [
        NodeView("here", cores=2, head=True, draining=True),
        NodeView("there", cores=2),
    ]
    await until(
        lambda: (
            {p.node for p in rig.machine.processes.values() if not p.dead.is_set()} == {"there"}
        ),
        what="everything there",
    )
    alone = {"policy-0": "ready", "hub-0": "ready"}
    await until(
        lambda: rig.supervisor.status()["services"] == alone, what="an end of the second ones"
    )
    rig.machine.of_nodes = [NodeView("there", cores=2, draining=True)]
    await until(lambda: len(rig.supervisor.fleet.nodes) == 1, what="the last node")
    rig.supervisor.wake()
    placed = await rig.placed("a", "b")
    count = len(rig.machine.started)
    await asyncio.sleep(0.2)
    assert (await rig.placed("a", "b"), len(rig.machine.started)) == (placed, count), (
        "nothing moves to and fro"
    )


async def test_a_hub_on_a_silent_node_is_replaced(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.supervisor.supervisor.NODES_S", 0.01)
    rig = rigs()
    both = [NodeView("here", cores=2, head=True), NodeView("there", cores=2)]
    rig.machine.of_nodes = list(both)
    await started(rig)
    first = rig.machine.processes["hub-0"]
    rig.machine.of_nodes = [
        node if node.id != first.node else NodeView(node.id, alive=False) for node in both
    ]
    await until(lambda: rig.machine.processes["hub-0"].node != first.node, what="another hub")
    await rig.supervisor.ready(10.0)


async def test_a_dear_camera_is_split_out_while_density_is_adaptive(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.supervisor.survey.SURVEY_S", 0.05)
    rig = rigs(*CAMERAS)
    await rig.want(density=Density(6, adaptive=True))
    placed = await started(rig, *CAMERAS)
    assert len(set(placed.values())) == 1
    rig.machine.processes[placed["cam-3"]].figures["cam-3"] = {"cpu": 0.6}
    await until(
        lambda: len(set(hosts(rig).values())) == 2 and len(hosts(rig)) == 6,
        what="a process of its own",
    )
    (alone,) = [camera for camera in rig.supervisor.snapshot().cameras if camera.alone]
    assert alone.camera == "cam-3"
    await until(
        lambda: any("process of its own" in decision.what for decision in rig.stores.cluster.log),
        what="the decision",
    )
    await rig.want(density=Density(6))
    await until(
        lambda: len(set(hosts(rig).values())) == 1 and len(hosts(rig)) == 6,
        what="one process again",
    )


async def test_an_idle_camera_is_passivated_and_comes_back_with_its_first_use(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.supervisor.survey.SURVEY_S", 0.05)
    rig = rigs("a", "b", passivate_after_s=0.1)
    placed = await started(rig, "a", "b")
    rig.machine.processes[placed["a"]].figures["a"] = {"status": "offline", "links": 0}
    rig.machine.processes[placed["b"]].figures["b"] = {"status": "offline", "links": 1}
    await until(lambda: "a" not in hosts(rig), what="its end")
    assert {camera.camera: camera.phase for camera in rig.supervisor.snapshot().cameras} == {
        "a": "idle",
        "b": "hosted",
    }
    rig.machine.processes[placed["a"]].figures.clear()
    await rig.placed("a")


async def test_dry_runs_say_what_they_would_do(rigs: Callable[..., Rig]) -> None:
    rig = rigs(*CAMERAS)
    await started(rig, *CAMERAS)
    plan = rig.supervisor.plan
    packed = plan("density", "cluster", {"density": 6})
    assert (packed.cameras, packed.problem) == (6, "")
    assert packed.duration_s > 0
    assert [step.what for step in packed.steps][:2] == [
        "start a process for 6 cameras",
        "move 6 cameras",
    ]
    assert plan("move", "cam-0", {}).cameras == 1
    assert plan("drain", "here", {}).problem
    assert [step.subject for step in plan("scale", "hubs", {"count": 3}).steps] == [
        "hub-1",
        "hub-2",
    ]
    assert plan("pause", "site:site", {}).cameras == 6
    assert plan("rebalance", "cluster", {}).total == 0
    assert plan("restart", hosts(rig)["cam-1"], {}).cameras == 1
    assert plan("quarantine", "cam-1", {}).cameras == 1
    assert plan("cordon", "here", {}).problem == ""
    with pytest.raises(NotFound):
        plan("move", "nobody", {})
    with pytest.raises(BadInput):
        plan("dance", "cam-0", {})
    with pytest.raises(BadInput):
        plan("scale", "hubs", {"count": "many"})
    assert await rig.placed(*CAMERAS) == hosts(rig), "nothing was done"


async def test_a_move_whose_source_is_gone_ends_well(rigs: Callable[..., Rig]) -> None:
    rig = rigs("a")
    before = await started(rig, "a")
    rig.machine.hold_opens = True
    id = await rig.ask("move", "a")
    await until(lambda: len(rig.machine.of_cameras()) == 2, what="the target")
    rig.machine.processes[before["a"]].die()
    await asyncio.sleep(0.05)
    rig.machine.hold_opens = False
    for process in rig.machine.of_cameras():
        process.gate.set()
    await rig.over(id)
    assert list(hosts(rig)) == ["a"]
