"""Windows of days that a read of events goes through, one statement each (pure).

Each names whole days as constants, so that PostgreSQL prunes when it plans: a statement locks the
tables and indexes of its own days, however many are kept. A generic plan over parameters prunes
when it runs, and has locked them all by then. Windows grow, so that a read that finds nothing near
looks at a year in some sixteen statements. The first one is open below and the last one above: what
lies in no day's partition is found too.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

WIDEST_DAYS = 32
EPOCH = date(1970, 1, 1)

Window = tuple[date | None, date | None]  # from, to (exclusive); None: open


def day_at(us: int) -> date:
    """The UTC day of microseconds since 1970."""
    return EPOCH + timedelta(days=max(0, min(us // 86_400_000_000, 2_900_000)))


def us_at(day: date) -> int:
    """Its first moment, microseconds since 1970."""
    return (day - EPOCH).days * 86_400_000_000


def backward(first: date, today: date, low_us: int, high_us: int) -> Iterator[Window]:
    """Newest first, from `high_us` down to `low_us`; `first` is the oldest day with a partition."""
    end: date | None = None if day_at(high_us) >= today else day_at(high_us) + timedelta(days=1)
    begin = (today if end is None else end) - timedelta(days=1)
    width = 1
    while True:
        begin = max(begin, first)
        yield begin, end
        if us_at(begin) <= low_us:
            return
        if begin <= first:
            break
        end, width = begin, min(2 * width, WIDEST_DAYS)
        begin -= timedelta(days=width)
    yield None, begin


def forward(first: date, today: date, low_us: int, high_us: int) -> Iterator[Window]:
    """Oldest first, from `low_us` up to `high_us`."""
    begin = day_at(low_us)
    if begin < first:
        yield None, first
        begin = first
    width = 1
    while us_at(begin) < high_us:
        end = begin + timedelta(days=width)
        if end > today:
            yield begin, None
            return
        yield begin, end
        begin, width = end, min(2 * width, WIDEST_DAYS)


def condition(window: Window) -> str:
    """The SQL of a window: constants, of dates of ours alone."""
    begin, end = window
    parts = [
        f"received {sign} '{datetime(day.year, day.month, day.day, tzinfo=UTC)}'"
        for sign, day in ((">=", begin), ("<", end))
        if day
    ]
    return " AND ".join(parts) or "TRUE"
