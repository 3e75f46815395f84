"""I10: what has come back after a fault, and what has not."""

import msgspec
import pytest

from load_tests.checker.resources import (
    SPARE_BYTES,
    SPARE_OPEN,
    Resources,
    baseline,
    returned,
    within_budget,
)

BEFORE = Resources(
    {"hub": 2**27, "camera": 2**27, "postgres": 2**20}, {"hub files": 100, "hub threads": 20}
)


def test_what_has_come_back_is_no_word_worth() -> None:
    assert returned(BEFORE, BEFORE) == []
    grown = msgspec.structs.replace(
        BEFORE,
        rss={**BEFORE.rss, "postgres": 2**28},
        opened={"hub files": 110, "hub threads": 10, "postgres files": 900},
    )
    assert returned(BEFORE, grown) == [], "shared buffers are no leak, and little comes and goes"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rss": {"hub": round(2**27 * 1.05) + SPARE_BYTES + 1}}, "memory of hub"),
        ({"opened": {"hub files": 105 + SPARE_OPEN + 1}}, "hub files"),
        ({"opened": {"redis threads": SPARE_OPEN + 1}}, "redis threads"),
        ({"held_bytes": 10.0}, "10 bytes are still held"),
        ({"slow": 1.0}, "1 dashboards are still slow"),
    ],
)
def test_what_has_not_is_named(change: dict[str, object], named: str) -> None:
    (found,) = returned(BEFORE, msgspec.structs.replace(BEFORE, **change))
    assert named in found


def test_healthy_dashboards_have_a_budget() -> None:
    assert within_budget([], 1.0) == []
    assert within_budget([0.1] * 99 + [5.0], 5.0) == []
    assert within_budget([0.1] * 99 + [5.0], 1.0) == [
        "what healthy dashboards were shown was 5.000 s old (p99), 1 s are allowed"
    ]


def test_memory_is_compared_with_its_height_under_calm_load() -> None:
    looks = [
        (1.0, {"hub": 5}),
        (2.0, {"hub": 9}),
        (3.0, {"hub": 7, "redis": 3}),
        (4.0, {"hub": 99}),
    ]
    before = Resources({"hub": 6, "camera": 2}, {})
    assert baseline(before, looks, float("inf")).rss == {"hub": 9, "camera": 2}, (
        "the second half is what is judged"
    )
    assert baseline(before, looks, 1.5).rss == {"hub": 6, "camera": 2}, (
        "what happened takes its toll"
    )
    assert baseline(before, looks[:1], 0.5).rss == {"hub": 6, "camera": 2}
