"""Windows of days: together they cover everything once, in order, however the range lies; and
snapshots."""

from datetime import date, timedelta
from itertools import pairwise

import pytest

from storage.events.snapshots import TransactionSnapshot
from storage.events.windows import Window, backward, condition, forward, us_at
from storage.ports.event_queries import EARLIEST_US, LATEST_US

TODAY = date(2026, 3, 1)
DAY_US = 86_400_000_000
LONG = date(2025, 1, 25)  # 400 days


def holds(window: Window, us: int) -> bool:
    return (window[0] is None or us >= us_at(window[0])) and (
        window[1] is None or us < us_at(window[1])
    )


@pytest.mark.parametrize(
    "first", [TODAY, TODAY - timedelta(days=1), TODAY - timedelta(days=8), LONG]
)
@pytest.mark.parametrize("low_day", [None, -500, -399, -30, -1, 0])
@pytest.mark.parametrize("high_day", [None, 40, 0, -1, -29, -398, -450])
def test_windows_cover_the_range_once(
    first: date, low_day: int | None, high_day: int | None
) -> None:
    today = us_at(TODAY)
    low = EARLIEST_US if low_day is None else today + low_day * DAY_US + 5
    high = LATEST_US if high_day is None else today + high_day * DAY_US + 7
    moments = [
        us
        for day in range(-600, 60)
        for us in (today + day * DAY_US + 6, today + day * DAY_US + DAY_US - 1)
        if low <= us < high
    ]
    for windows in (
        list(forward(first, TODAY, low, high)),
        list(backward(first, TODAY, low, high)),
    ):
        assert [sum(holds(window, us) for window in windows) for us in moments] == [1] * len(
            moments
        )
        assert len(windows) <= 20
    found = list(forward(first, TODAY, low, high))
    assert all(earlier[1] == later[0] for earlier, later in pairwise(found))


def test_a_window_is_told_in_constants() -> None:
    assert condition((None, None)) == "TRUE"
    assert condition((TODAY, None)) == "received >= '2026-03-01 00:00:00+00:00'"
    assert condition((TODAY, TODAY + timedelta(days=1))).endswith(
        " AND received < '2026-03-02 00:00:00+00:00'"
    )


def test_a_snapshot_sees_what_was_over() -> None:
    snapshot = TransactionSnapshot.parse("100:110:103,105")
    assert [xid for xid in range(98, 113) if snapshot.sees(xid)] == [
        98,
        99,
        100,
        101,
        102,
        104,
        106,
        107,
        108,
        109,
    ]
    wrapped = TransactionSnapshot.parse(f"{2**32 + 5}:{2**32 + 5}:")
    assert wrapped.sees(2**32 - 1)
    assert wrapped.sees(4)
    assert not wrapped.sees(5)
