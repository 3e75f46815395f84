"""What a listing of events asks for, and where it stands."""

import msgspec

EARLIEST_US = 0  # 1970: nothing is received before
LATEST_US = 253_370_764_800_000_000  # the year 9999

Key = tuple[
    int, str, str, int
]  # received (microseconds since 1970), camera, epoch, offset: the order of every listing


class EventQuery(msgspec.Struct, frozen=True):
    """Events of `sites`, or of one `camera` (of one `epoch` with offsets above `after_offset`).
    None of a filter takes all, else any of it.

    `low_us` to `high_us` (exclusive): when they were received. `exclude`: cameras of the sites that
    are left out.
    """

    sites: tuple[str, ...] = ()
    camera: str | None = None
    epoch: str | None = None
    after_offset: int = 0
    low_us: int = EARLIEST_US
    high_us: int = LATEST_US
    types: tuple[str, ...] | None = None
    severities: tuple[str, ...] | None = None
    zones: tuple[str, ...] | None = None
    lines: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None
    tracks: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()


def start_of(query: EventQuery, *, newest: bool) -> Key:
    """The key before the first row: nothing in the range stands at it."""
    return (query.high_us if newest else query.low_us, "", "", -1)
