"""The alert points of a camera, as its snapshot and its commits carry them."""

import msgspec

from actors.core.severity import Severity


class AlertPoint(msgspec.Struct, array_like=True):
    """One point, as a snapshot keeps it. Times in microseconds: `since_us` is capture time, the
    others stream time. `holds_us`: since when the objects are in the zones, 0 while they are not;
    `by_hand` is never cleared by time."""

    rule: str
    place: str
    severity: Severity
    active: bool = False
    occurrences: int = 0
    told: int = 0
    since_us: int = 0
    last_us: int = 0
    told_us: int = 0
    holds_us: int = 0
    cause: str = ""
    changed: bool = False
