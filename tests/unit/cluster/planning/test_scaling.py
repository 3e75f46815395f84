"""Autoscaling: quick to grow, slow to shrink, never to and fro."""

import itertools

from cluster.planning.scaling import (
    COOL_DOWN_S,
    GROW_AFTER_S,
    SHRINK_AFTER_S,
    Pressure,
    wanted_count,
)
from storage.ports.cluster import Scale


def follow(
    scale: Scale, loads: list[float], step_s: float = 5.0, ready: int | None = None
) -> list[int]:
    """The counts of a load that is looked at every `step_s`; total load is `loads`, in cores."""
    pressure, count, counts = Pressure(), scale.count, []
    for number, load in enumerate(loads):
        there = ready or count
        count, _why = wanted_count(
            Scale(count, scale.min, scale.max, True), there, load / there, pressure, number * step_s
        )
        counts.append(count)
    return counts


def test_a_load_that_stays_high_gets_what_it_needs_and_no_more_than_allowed() -> None:
    counts = follow(Scale(1, 1, 4, True), [2.0] * 100)
    assert counts[: int(GROW_AFTER_S / 5)] == [1] * int(GROW_AFTER_S / 5)
    assert counts[-1] == 4
    assert follow(Scale(1, 1, 2, True), [2.0] * 100)[-1] == 2


def test_a_burst_changes_nothing() -> None:
    assert set(follow(Scale(1, 1, 4, True), ([2.0] + [0.1] * 3) * 40)) == {1}


def test_a_load_between_the_bounds_is_left_alone() -> None:
    for count, load in ((1, 0.7), (2, 1.2), (3, 1.5)):
        assert set(follow(Scale(count, 1, 8, True), [load] * 200)) == {count}


def test_it_shrinks_one_at_a_time_and_late() -> None:
    counts = follow(Scale(3, 1, 4, True), [0.2] * 400)
    assert counts.index(2) * 5.0 >= SHRINK_AFTER_S
    assert counts[-1] == 1
    assert all(before - after <= 1 for before, after in itertools.pairwise(counts))
    changes = [
        number
        for number, (before, after) in enumerate(itertools.pairwise(counts))
        if before != after
    ]
    assert all(
        (later - earlier) * 5.0 >= COOL_DOWN_S for earlier, later in itertools.pairwise(changes)
    )


def test_no_load_makes_it_move_to_and_fro() -> None:
    for tenths in range(1, 60):
        counts = follow(Scale(3, 1, 8, True), [tenths / 10] * 800)
        assert len(set(counts[400:])) == 1, (tenths, counts)


def test_bounds_come_first_and_what_is_not_ready_yet_waits() -> None:
    assert wanted_count(Scale(9, 1, 4, True), 9, 0.5, Pressure(), 0.0) == (4, "between 1 and 4")
    assert set(follow(Scale(3, 1, 8, True), [9.0] * 50, ready=2)) == {3}
