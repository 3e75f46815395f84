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


def changes(counts: list[int], step_s: float) -> list[float]:
    """The moments of changes, in seconds."""
    return [
        number * step_s
        for number, (before, after) in enumerate(itertools.pairwise(counts), start=1)
        if before != after
    ]


def test_a_load_that_outgrows_every_step_is_followed_no_faster_than_the_cool_down() -> None:
    """High load alone would grow it every `GROW_AFTER_S`."""
    pressure, count, counts = Pressure(), 1, [1]
    for second in range(400):
        count, _ = wanted_count(Scale(count, 1, 50, True), count, 0.8, pressure, float(second))
        counts.append(count)
    first, *later = changes(counts, 1.0)
    assert first == GROW_AFTER_S + 1.0  # the count of second 15 stands after it
    assert later
    assert {after - before for before, after in itertools.pairwise([first, *later])} == {
        COOL_DOWN_S
    }


def test_each_step_down_needs_its_own_time_of_low_load_longer_than_the_cool_down() -> None:
    assert SHRINK_AFTER_S > COOL_DOWN_S
    pressure, count, counts = Pressure(), 4, [4]
    for second in range(1_000):
        count, _ = wanted_count(Scale(count, 1, 8, True), count, 0.01, pressure, float(second))
        counts.append(count)
    first, *later = changes(counts, 1.0)
    assert first == SHRINK_AFTER_S + 1.0
    assert [after - before for before, after in itertools.pairwise([first, *later])] == [
        SHRINK_AFTER_S + 1.0
    ] * 2


def test_a_load_that_falls_right_after_a_step_up_shrinks_nothing_until_it_was_low_long_enough() -> (
    None
):
    pressure = Pressure()
    for second in range(int(GROW_AFTER_S) + 1):
        count, _ = wanted_count(Scale(1, 1, 4, True), 1, 0.9, pressure, float(second))
    assert count == 2
    low_from = GROW_AFTER_S + 1.0
    for second in range(int(SHRINK_AFTER_S) + 1):
        count, _ = wanted_count(Scale(2, 1, 4, True), 2, 0.1, pressure, low_from + second)
        assert (count == 1) == (second == SHRINK_AFTER_S), second


def test_no_load_makes_it_move_to_and_fro() -> None:
    for tenths in range(1, 60):
        counts = follow(Scale(3, 1, 8, True), [tenths / 10] * 800)
        assert len(set(counts[400:])) == 1, (tenths, counts)


def test_bounds_come_first_and_what_is_not_ready_yet_waits() -> None:
    assert wanted_count(Scale(9, 1, 4, True), 9, 0.5, Pressure(), 0.0) == (4, "between 1 and 4")
    assert set(follow(Scale(3, 1, 8, True), [9.0] * 50, ready=2)) == {3}
