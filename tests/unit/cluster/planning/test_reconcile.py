"""Desired against observed."""

from collections.abc import Iterable

import msgspec

from cluster.planning.reconcile import (
    MAX_FAILURES,
    QUARANTINE_S,
    SPARE_FOR_MOVES,
    ActorView,
    GiveCameras,
    MoveCameras,
    ReconcileLimits,
    ReconcilePlan,
    ReleaseCameras,
    StartActor,
    StopActor,
    Trouble,
    WantedCamera,
    ended_its_process,
    failed,
)
from cluster.planning.reconcile import compare as compare_wishes

ONE = ReconcileLimits(max_starting=2, max_actors=100)
PACKED = msgspec.structs.replace(ONE)  # the same limits; its cameras are packed by four


def compare(
    cameras: Iterable[str],
    actors: list[ActorView],
    held: dict[str, float],
    now: float,
    limits: ReconcileLimits,
) -> ReconcilePlan:
    density = 4 if limits is PACKED else 1
    shown = [msgspec.structs.replace(actor, density=density) for actor in actors]
    return compare_wishes(
        [WantedCamera(camera, density) for camera in cameras], shown, held, now, limits
    )


def test_one_actor_per_camera_and_no_more_starts_than_cores() -> None:
    plan = compare(["a", "b", "c"], [], {}, 0.0, ONE)
    assert plan.actions == [StartActor(("a",)), StartActor(("b",))]
    busy = [ActorView("x", "starting", ("a",)), ActorView("y", "ready", ("b",))]
    assert compare(["a", "b", "c", "d"], busy, {}, 0.0, ONE).actions == [StartActor(("c",))]


def test_nothing_to_do_when_all_is_placed() -> None:
    actors = [ActorView("x", "ready", ("a",)), ActorView("y", "starting", ("b",))]
    assert compare(["a", "b", "a"], actors, {}, 0.0, ONE).actions == []


def test_cameras_are_packed_and_wait_for_room_in_a_starting_process() -> None:
    assert compare(list("abcdefghi"), [], {}, 0.0, PACKED).actions == [
        StartActor(("a", "b", "c", "d"), 4),
        StartActor(("e", "f", "g", "h"), 4),
    ]
    actors = [ActorView("x", "ready", ("a", "b", "c")), ActorView("y", "starting", ("d",))]
    assert compare(list("abcdefg"), actors, {}, 0.0, PACKED).actions == [GiveCameras("x", ("e",))]


def test_a_held_camera_is_left_alone_until_its_time() -> None:
    assert compare(["a"], [], {"a": 5.0}, 4.9, ONE).actions == []
    assert compare(["a"], [], {"a": 5.0}, 5.0, ONE).actions == [StartActor(("a",))]


def test_a_stopping_process_counts_as_alive_and_its_cameras_as_unplaced() -> None:
    tight = ReconcileLimits(max_starting=2, max_actors=1)
    plan = compare(["a"], [ActorView("x", "stopping", ("a",))], {}, 0.0, tight)
    assert plan.actions == []
    assert plan.refused == ["a"]
    assert compare(["a"], [ActorView("x", "stopping", ("a",))], {}, 0.0, ONE).actions == [
        StartActor(("a",))
    ]


def test_an_empty_process_ends_unless_it_is_needed_now() -> None:
    assert compare([], [ActorView("x", "ready", ())], {}, 0.0, ONE).actions == [StopActor("x")]
    assert compare(["a"], [ActorView("x", "ready", ())], {}, 0.0, ONE).actions == [
        GiveCameras("x", ("a",))
    ]


def test_failures_back_off_and_end_in_quarantine() -> None:
    trouble = Trouble()
    failed(trouble, "died", hosted_s=0.0, now=10.0, jitter=1.0)
    assert trouble.held_until == 10.0
    held = []
    for _ in range(MAX_FAILURES - 2):
        failed(trouble, "died", hosted_s=0.0, now=10.0, jitter=1.0)
        held.append(trouble.held_until - 10.0)
    assert held == sorted(held)
    assert held[0] == 1.0
    assert not trouble.quarantined
    failed(trouble, "died again", hosted_s=0.0, now=10.0, jitter=0.0)
    assert trouble.quarantined
    assert compare(["a"], [], {"a": trouble.held_until}, 9.0 + QUARANTINE_S, ONE).actions == []
    assert compare(["a"], [], {"a": trouble.held_until}, 10.0 + QUARANTINE_S, ONE).actions == [
        StartActor(("a",))
    ]


def test_a_long_healthy_camera_is_forgiven() -> None:
    trouble = Trouble(failures=5)
    failed(trouble, "died", hosted_s=100.0, now=10.0, jitter=1.0)
    assert (trouble.failures, trouble.held_until) == (1, 10.0)


def moved(plan: ReconcilePlan) -> int:
    return sum(len(action.cameras) for action in plan.actions if isinstance(action, MoveCameras))


def test_another_density_moves_cameras_to_a_process_that_is_ready_first() -> None:
    actors = [
        ActorView(name, "ready", (camera,)) for name, camera in (("x", "a"), ("y", "b"), ("z", "c"))
    ]
    wanted = [WantedCamera(camera, 16) for camera in "abc"]
    plan = compare_wishes(wanted, actors, {}, 0.0, ONE)
    assert plan == ReconcilePlan([StartActor((), 16, ("a", "b", "c"))], [], 3)
    starting = [*actors, ActorView("new", "starting", (), 16, ("a", "b", "c"))]
    assert compare_wishes(wanted, starting, {}, 0.0, ONE).actions == []
    half = [ActorView("x", "ready", ()), *actors[1:], ActorView("new", "ready", ("a",), 16)]
    plan = compare_wishes(wanted, half, {}, 0.0, ONE)
    assert plan.actions == [MoveCameras("new", ("b", "c")), StopActor("x")]


def test_a_wave_is_bounded() -> None:
    actors = [ActorView(f"x{n}", "ready", (f"c{n}",)) for n in range(40)]
    wanted = [WantedCamera(f"c{n}", 64) for n in range(40)]
    first = compare_wishes(wanted, actors, {}, 0.0, ONE).actions
    assert first == [StartActor((), 64, tuple(f"c{n}" for n in range(16)))]
    underway = [*actors, ActorView("new", "ready", (), 64, tuple(f"c{n}" for n in range(10)))]
    assert moved(compare_wishes(wanted, underway, {}, 0.0, ONE)) == 6


def test_one_by_one_again_starts_no_more_than_the_cores_take() -> None:
    packed = [ActorView("p", "ready", ("a", "b", "c"), 16)]
    plan = compare_wishes([WantedCamera(camera) for camera in "abc"], packed, {}, 0.0, ONE)
    assert plan.actions == [StartActor((), 1, ("a",)), StartActor((), 1, ("b",))]


def test_a_full_cluster_can_still_be_packed() -> None:
    actors = [ActorView(f"x{n}", "ready", (f"c{n}",)) for n in range(10)]
    tight = ReconcileLimits(max_starting=9, max_actors=10)
    plan = compare_wishes([WantedCamera(f"c{n}", 2) for n in range(10)], actors, {}, 0.0, tight)
    assert len(plan.actions) == SPARE_FOR_MOVES
    assert plan.refused == []


def test_what_is_to_be_left_is_left_and_then_ends() -> None:
    actors = [
        ActorView("x", "ready", ("a",), node="n1", keeps=False),
        ActorView("y", "ready", ("b",), node="n2"),
    ]
    wanted = [WantedCamera("a"), WantedCamera("b")]
    assert compare_wishes(wanted, actors, {}, 0.0, ONE).actions == [StartActor((), 1, ("a",))]
    empty = [ActorView("x", "ready", (), node="n1", keeps=False)]
    assert compare_wishes([WantedCamera("c")], empty, {}, 0.0, ONE).actions == [
        StopActor("x"),
        StartActor(("c",)),
    ]


def test_a_camera_goes_where_it_is_told() -> None:
    actors = [
        ActorView("x", "ready", ("a",), 4, node="n1"),
        ActorView("y", "ready", ("b",), 4, node="n2"),
    ]
    both = [WantedCamera("a", 4), WantedCamera("b", 4)]
    assert compare_wishes(
        [WantedCamera("a", 4, into="y"), both[1]], actors, {}, 0.0, ONE
    ).actions == [MoveCameras("y", ("a",))]
    assert compare_wishes(
        [WantedCamera("a", 4, node="n2"), both[1]], actors, {}, 0.0, ONE
    ).actions == [MoveCameras("y", ("a",))]
    assert compare_wishes(
        [WantedCamera("a", 4, avoid="x"), both[1]], actors, {}, 0.0, ONE
    ).actions == [MoveCameras("y", ("a",))]
    assert compare_wishes(
        [WantedCamera("a", 4, node="n3"), both[1]], actors, {}, 0.0, ONE
    ).actions == [StartActor((), 4, ("a",), "n3")]


def test_half_empty_processes_are_packed_when_nothing_else_goes_on() -> None:
    actors = [
        ActorView("x", "ready", ("a", "b", "c"), 8),
        ActorView("y", "ready", ("d", "e"), 8),
        ActorView("z", "ready", ("f",), 8),
    ]
    wanted = [WantedCamera(camera, 8) for camera in "abcdef"]
    assert compare_wishes(wanted, actors, {}, 0.0, ONE).actions == [MoveCameras("x", ("f",))]
    assert moved(compare_wishes([*wanted, WantedCamera("new", 8)], actors, {}, 0.0, ONE)) == 0
    nearly = [
        ActorView("x", "ready", tuple("abcde"), 8),
        ActorView("y", "ready", tuple("fghij"), 8),
    ]
    assert (
        compare_wishes(
            [WantedCamera(camera, 8) for camera in "abcdefghij"], nearly, {}, 0.0, ONE
        ).actions
        == []
    )


def test_what_nobody_wants_is_given_up() -> None:
    actors = [ActorView("x", "ready", ("a", "b"), 4)]
    assert compare_wishes([WantedCamera("a", 4)], actors, {}, 0.0, ONE).actions == [
        ReleaseCameras("x", ("b",))
    ]


def test_it_settles_whatever_the_density() -> None:
    """Carrying the actions out again and again ends, and every camera is then where it should
    be."""
    wanted = {camera: 1 for camera in map(str, range(40))}
    hosts: dict[str, tuple[int, list[str]]] = {}
    names = iter(map(str, range(10_000)))
    for density in (1, 16, 5, 1, 40, 3):
        wanted = dict.fromkeys(wanted, density)
        for _ in range(400):
            views = [
                ActorView(name, "ready", tuple(cameras), made)
                for name, (made, cameras) in hosts.items()
            ]
            plan = compare_wishes(
                [WantedCamera(c, d) for c, d in wanted.items()],
                views,
                {},
                0.0,
                ReconcileLimits(max_starting=2, max_actors=45),
            )
            if not plan.actions:
                break
            for action in plan.actions:
                if isinstance(action, StartActor):
                    target = hosts[next(names)] = (action.density, [])
                    arriving = (*action.cameras, *action.incoming)
                elif isinstance(action, StopActor):
                    assert hosts.pop(action.name)[1] == []
                    continue
                else:
                    assert isinstance(action, GiveCameras | MoveCameras)
                    target, arriving = hosts[action.name], action.cameras
                for camera in arriving:
                    for _made, cameras in hosts.values():
                        if camera in cameras:
                            cameras.remove(camera)
                target[1].extend(arriving)
                assert len(target[1]) <= target[0]
        else:
            raise AssertionError(f"it does not settle at {density}")
        assert sorted(camera for made, cameras in hosts.values() for camera in cameras) == sorted(
            wanted
        )
        assert {made for made, _cameras in hosts.values()} == {density}
        assert len(hosts) == -(-len(wanted) // density) or density in (3, 5)


def test_who_ended_two_processes_is_alone_however_long_they_lived() -> None:
    trouble = Trouble()
    assert (ended_its_process(trouble), trouble.alone) == (False, False)
    failed(trouble, "it died", hosted_s=3_600.0, now=0.0, jitter=0.0)
    assert (ended_its_process(trouble), trouble.alone) == (True, True)
    assert (ended_its_process(trouble), trouble.alone) == (False, True), "told once"
