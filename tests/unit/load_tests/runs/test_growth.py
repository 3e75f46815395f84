"""Slopes of a long run: planted leaks are found, bursts and warm-up are not taken for leaks."""

import random

import pytest

from load_tests.runs.growth import (
    BOUNDS,
    EVENTS,
    HOUR_S,
    MIB,
    Sample,
    bound_of,
    grown,
    slope_per_hour,
    slopes,
)

SEED = 7
EVERY_S = 20.0


def _hour(**series: float) -> list[Sample]:
    """An hour of samples: noise of 1 MiB around 100 MiB, and `series` grow by so much an hour."""
    luck, found = random.Random(SEED), []
    for number in range(180):
        share = number * EVERY_S / HOUR_S
        values = {
            "memory hub 1": 100.0 * MIB + luck.uniform(-1, 1) * MIB,
            "redis keys": 60.0,
            "wal": 900.0 * MIB,
            "files hub 1": 40.0,
        }
        values |= {"processes": 30.0, "table positions": 9.0 * MIB, EVENTS: 1000.0 * number}
        values |= {
            name: values.get(name, 0.0) + per_hour * share for name, per_hour in series.items()
        }
        found.append(Sample(number * EVERY_S, values))
    return found


def test_a_run_that_stays_as_it_is_is_flat() -> None:
    found = slopes(_hour())
    assert grown(found) == []
    assert {one.name for one in found} == {
        "memory hub 1",
        "redis keys",
        "wal",
        "files hub 1",
        "processes",
        "table positions",
    }


@pytest.mark.parametrize(
    ("name", "per_hour", "unit"),
    [
        ("memory hub 1", 20.0 * MIB, "bytes"),
        ("files hub 1", 6.0, "files"),
        ("redis keys", 8.0, "keys"),
        ("processes", 3.0, "processes"),
        ("table positions", 6.0 * MIB, "bytes"),
    ],
)
def test_a_planted_leak_is_found_with_its_size(name: str, per_hour: float, unit: str) -> None:
    found = slopes(_hour(**{name: per_hour}))
    (one,) = [slope for slope in found if not slope.flat]
    assert (one.name, one.unit) == (name, unit)
    assert one.per_hour == pytest.approx(per_hour, rel=0.1)
    assert [line.partition(":")[0] for line in grown(found)] == [name]


def test_what_is_filled_in_the_first_third_is_no_leak_nor_is_a_burst() -> None:
    samples = _hour()
    for number, sample in enumerate(samples):
        sample.values["memory hub 1"] += min(1.0, number / 50) * 200 * MIB  # a cache that fills
        sample.values["redis bytes"] = 50.0 * MIB + (
            400 * MIB if 100 <= number < 120 else 0
        )  # a burst
    assert grown(slopes(samples)) == []


def test_tables_of_events_and_streams_may_grow_with_the_events_only() -> None:
    samples = _hour()
    events = samples[-1].values[EVENTS]
    for name, per_event, flat in (
        ("table events", 1500.0, True),
        ("redis bytes", 1500.0, True),
        ("table events", 4000.0, False),
    ):
        for sample in samples:
            sample.values[name] = sample.values[EVENTS] * per_event
        (one,) = [slope for slope in slopes(samples) if slope.name == name]
        assert one.flat is flat, (name, one.per_hour / events)


def test_wal_has_a_height_and_no_slope() -> None:
    assert grown(slopes(_hour(wal=100.0 * MIB))) == []
    assert grown(slopes(_hour(wal=400.0 * MIB)))[0].startswith("wal: ")


def test_a_process_that_lived_shortly_says_nothing_and_nothing_watched_is_no_green() -> None:
    samples = _hour()
    for sample in samples[100:105]:
        sample.values["memory hub 2"] = 1e9 * sample.at_s
    assert grown(slopes(samples)) == []
    assert grown(slopes([])) == grown(slopes(samples[:3])) != []


def test_every_series_has_the_bound_of_its_longest_name() -> None:
    assert bound_of("table events") is BOUNDS["table events"]
    assert bound_of("table event_days") is BOUNDS["table"]
    assert bound_of("memory camera 17") is BOUNDS["memory"]
    assert bound_of(EVENTS) is None
    assert slope_per_hour([(0.0, 1.0)]) == 0.0


def test_in_a_run_of_minutes_a_leak_is_found_and_the_allocator_is_none() -> None:
    luck = random.Random(SEED)
    for leak, flat in ((0.0, True), (0.2 * MIB, False)):  # of a second
        samples = [
            Sample(
                2.0 * number,
                {
                    "memory hub 1": 90.0 * MIB + luck.uniform(-1, 1) * MIB + leak * 2.0 * number,
                    "files hub 1": 40.0,
                },
            )
            for number in range(60)
        ]
        assert (grown(slopes(samples)) == []) is flat
