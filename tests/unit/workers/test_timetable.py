"""`workers.timetable`: slots, jitter, summer time."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import BadInput
from actors.core.times import from_us, to_us
from workers.timetable import Timing, check, due_us, next_slot

BERLIN = "Europe/Berlin"
ZONES = ["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata"]


def us(text: str) -> int:
    return to_us(datetime.fromisoformat(text).replace(tzinfo=UTC))


def slots(timing: Timing, after: str, count: int) -> list[str]:
    found, at = [], us(after)
    for _ in range(count):
        at = next_slot(timing, at)
        found.append(from_us(at).strftime("%m-%d %H:%M"))
    return found


def test_every_is_counted_from_1970_whenever_it_is_asked() -> None:
    timing = Timing(every_s=900)
    assert slots(timing, "2026-03-01T12:07:31", 2) == ["03-01 12:15", "03-01 12:30"]
    assert slots(timing, "2026-03-01T12:15:00", 1) == ["03-01 12:30"]


def test_a_local_time_that_summer_time_leaves_out_runs_once() -> None:
    # 29 March 2026: 02:00 becomes 03:00, so there is no 02:30
    timing = Timing(at="02:30", zone=BERLIN)
    assert slots(timing, "2026-03-27T12:00:00", 4) == [
        "03-28 01:30",
        "03-29 01:30",
        "03-30 00:30",
        "03-31 00:30",
    ]


def test_a_local_time_that_comes_twice_runs_once() -> None:
    # 25 October 2026: 03:00 becomes 02:00, so 02:30 is there twice
    timing = Timing(at="02:30", zone=BERLIN)
    assert slots(timing, "2026-10-23T12:00:00", 4) == [
        "10-24 00:30",
        "10-25 00:30",
        "10-26 01:30",
        "10-27 01:30",
    ]
    between = us("2026-10-25T00:45:00")  # after the first 02:30, before the second
    assert from_us(next_slot(timing, between)).strftime("%m-%d %H:%M") == "10-26 01:30"


def test_missed_slots_are_one() -> None:
    timing = Timing(at="03:10")
    assert slots(timing, "2026-01-20T12:00:00", 1) == ["01-21 03:10"]


@given(
    st.sampled_from(ZONES),
    st.integers(0, 23),
    st.integers(0, 59),
    st.integers(us("1990-01-01T00:00:00"), us("2035-01-01T00:00:00")),
)
def test_daily_slots_move_on_by_about_a_day(zone: str, hour: int, minute: int, after: int) -> None:
    timing = check(Timing(at=f"{hour:02}:{minute:02}", zone=zone))
    first = next_slot(timing, after)
    second = next_slot(timing, first)
    assert after < first <= after + 26 * 3_600_000_000
    assert 22 <= (second - first) / 3_600_000_000 <= 49  # Apia once left a day out
    assert next_slot(timing, first - 1) == first


@given(st.text(max_size=20), st.integers(0, 2**52), st.floats(0, 43_200))
def test_jitter_is_the_same_for_all_and_within_its_bound(
    name: str, slot: int, jitter_s: float
) -> None:
    timing = Timing(at="03:10", jitter_s=jitter_s)
    due = due_us(name, timing, slot)
    assert due == due_us(name, timing, slot)
    assert slot <= due <= slot + jitter_s * 1_000_000


@pytest.mark.parametrize(
    "wrong",
    [
        Timing(),
        Timing(every_s=60, at="03:10"),
        Timing(at="3:10"),
        Timing(at="24:00"),
        Timing(every_s=0.1),
        Timing(every_s=-5),
        Timing(every_s=60, jitter_s=31),
        Timing(at="03:10", jitter_s=-1),
        Timing(at="03:10", zone="Europe/Atlantis"),
        Timing(at="03:10", zone="../etc/passwd"),
        Timing(at="03:10", zone=""),
    ],
)
def test_nonsense_is_refused(wrong: Timing) -> None:
    with pytest.raises(BadInput):
        check(wrong)
