"""Sets of sequence numbers as closed ranges, in order and apart: a gap of 2^53 numbers costs no
more than one of two (pure)."""

from collections.abc import Iterable

Range = tuple[int, int]


def union(ranges: Iterable[Range]) -> list[Range]:
    """The same numbers as few ranges."""
    found: list[Range] = []
    for first, last in sorted(one for one in ranges if one[0] <= one[1]):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def minus(ranges: Iterable[Range], taken: Iterable[Range]) -> list[Range]:
    """The numbers of `ranges` that are not in `taken`."""
    found, away = [], union(taken)
    place = 0
    for first, last in union(ranges):
        while place < len(away) and away[place][1] < first:
            place += 1
        at = place
        while at < len(away) and away[at][0] <= last:
            if away[at][0] > first:
                found.append((first, away[at][0] - 1))
            first = away[at][1] + 1
            at += 1
        if first <= last:
            found.append((first, last))
    return found


def count(ranges: Iterable[Range]) -> int:
    """How many numbers."""
    return sum(last - first + 1 for first, last in ranges)
