"""The run that the checker is timed with is sound, and not because nothing is looked at."""

import msgspec
import pytest

from load_tests.benches import check as bench_check
from load_tests.checker.checker import check
from load_tests.harness.history import ShownEvent, Stored


def test_a_made_up_run_is_sound_and_each_part_of_it_counts() -> None:
    history, stored = bench_check.sound_run(3, 6_000, 2, 600)
    assert len(history) >= 6_000
    assert check(history, stored) == []
    assert len(stored.events) > 10

    def red(history_now: list[object], stored_now: Stored) -> set[str]:
        return {violation.invariant for violation in check(history_now, stored_now)}  # type: ignore[arg-type]

    place = next(place for place, one in enumerate(history) if isinstance(one, ShownEvent))
    assert red([*history[:place], *history[place + 1 :]], stored) == {"I5"}
    derived = next(
        place for place, event in enumerate(stored.events) if '"zone.entered"' in event.body
    )
    without = [*stored.events[:derived], *stored.events[derived + 1 :]]
    assert red(list(history), msgspec.structs.replace(stored, events=without)) == {"I3", "I7", "I8"}
    assert "I1" in red(list(history), msgspec.structs.replace(stored, cameras=[], moves=[]))


@pytest.mark.prove
@pytest.mark.timeout(600)
def test_a_million_operations_are_checked_within_a_minute_on_one_core() -> None:
    figures = bench_check.run(1).figures
    assert figures["operations"] >= 1_000_000  # type: ignore[operator]
    assert figures["a_million_s"] < 60  # type: ignore[operator]
