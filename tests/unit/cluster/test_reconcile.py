"""Desired against observed."""

from cluster.reconcile import MAX_FAILURES, QUARANTINE_S, ActorView, GiveCameras, Limits, StartActor, StopActor, Trouble, compare, failed

ONE = Limits(cameras_per_actor=1, max_starting=2, max_actors=100)
PACKED = Limits(cameras_per_actor=4, max_starting=2, max_actors=100)


def test_one_actor_per_camera_and_no_more_starts_than_cores() -> None:
    plan = compare(["a", "b", "c"], [], {}, 0.0, ONE)
    assert plan.actions == [StartActor(("a",)), StartActor(("b",))]
    busy = [ActorView("x", "starting", ("a",)), ActorView("y", "ready", ("b",))]
    assert compare(["a", "b", "c", "d"], busy, {}, 0.0, ONE).actions == [StartActor(("c",))]


def test_nothing_to_do_when_all_is_placed() -> None:
    actors = [ActorView("x", "ready", ("a",)), ActorView("y", "starting", ("b",))]
    assert compare(["a", "b", "a"], actors, {}, 0.0, ONE).actions == []


def test_cameras_are_packed_and_wait_for_room_in_a_starting_process() -> None:
    assert compare(list("abcdefghi"), [], {}, 0.0, PACKED).actions == [StartActor(("a", "b", "c", "d")), StartActor(("e", "f", "g", "h"))]
    actors = [ActorView("x", "ready", ("a", "b", "c")), ActorView("y", "starting", ("d",))]
    assert compare(list("abcdefg"), actors, {}, 0.0, PACKED).actions == [GiveCameras("x", ("e",))]


def test_a_held_camera_is_left_alone_until_its_time() -> None:
    assert compare(["a"], [], {"a": 5.0}, 4.9, ONE).actions == []
    assert compare(["a"], [], {"a": 5.0}, 5.0, ONE).actions == [StartActor(("a",))]


def test_a_stopping_process_counts_as_alive_and_its_cameras_as_unplaced() -> None:
    tight = Limits(cameras_per_actor=1, max_starting=2, max_actors=1)
    plan = compare(["a"], [ActorView("x", "stopping", ("a",))], {}, 0.0, tight)
    assert plan.actions == []
    assert plan.refused == ["a"]
    assert compare(["a"], [ActorView("x", "stopping", ("a",))], {}, 0.0, ONE).actions == [StartActor(("a",))]


def test_an_empty_process_ends_unless_it_is_needed_now() -> None:
    assert compare([], [ActorView("x", "ready", ())], {}, 0.0, ONE).actions == [StopActor("x")]
    assert compare(["a"], [ActorView("x", "ready", ())], {}, 0.0, ONE).actions == [GiveCameras("x", ("a",))]


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
    assert compare(["a"], [], {"a": trouble.held_until}, 10.0 + QUARANTINE_S, ONE).actions == [StartActor(("a",))]


def test_a_long_healthy_camera_is_forgiven() -> None:
    trouble = Trouble(failures=5)
    failed(trouble, "died", hosted_s=100.0, now=10.0, jitter=1.0)
    assert (trouble.failures, trouble.held_until) == (1, 10.0)
