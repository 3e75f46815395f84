"""How many hubs and policy replicas the load needs: a pure policy with hysteresis and cool-down,
off unless the shape says `auto`.

Load is a share of what one replica can carry; the wanted count keeps it near `TARGET`. Growing is
quick and needs the load for `GROW_AFTER_S`; shrinking is slow, needs it to be low for
`SHRINK_AFTER_S` even with one replica less, and one at a time. Any change is followed by
`COOL_DOWN_S` without one.
"""

from math import ceil

import msgspec

from storage.ports.cluster import Scale

TARGET = 0.6  # load per replica that is aimed at
GROW_AT = 0.75
SHRINK_AT = 0.45  # what the load would have to be below with one replica less
GROW_AFTER_S = 15.0
SHRINK_AFTER_S = 180.0
COOL_DOWN_S = 60.0


class Pressure(msgspec.Struct):
    """What is remembered between two looks: since when (monotonic) the load is high or low, and
    when the count last changed."""

    high_since: float | None = None
    low_since: float | None = None
    changed: float = float("-inf")

    def change(self, count: int, now: float) -> int:
        """`count` is wanted from now on."""
        self.high_since = self.low_since = None
        self.changed = now
        return count


def wanted_count(
    scale: Scale, ready: int, load: float, pressure: Pressure, now: float
) -> tuple[int, str]:
    """(count, why) from the mean `load` of the `ready` replicas; the same count, and an empty
    reason, when nothing changes.

    `pressure` is updated. Bounds come first: a count outside of `min` and `max` is brought inside
    at once.
    """
    bounded = min(max(scale.count, scale.min), max(scale.max, scale.min))
    if bounded != scale.count:
        return bounded, f"between {scale.min} and {scale.max}"
    if ready < scale.count or not ready:
        pressure.high_since = pressure.low_since = None
        return scale.count, ""  # the last change has not come to pass
    without_one = load * ready / (ready - 1) if ready > 1 else float("inf")
    pressure.high_since = (
        (pressure.high_since if pressure.high_since is not None else now)
        if load >= GROW_AT
        else None
    )
    pressure.low_since = (
        (pressure.low_since if pressure.low_since is not None else now)
        if without_one <= SHRINK_AT
        else None
    )
    if now - pressure.changed < COOL_DOWN_S:
        return scale.count, ""
    if (
        pressure.high_since is not None
        and now - pressure.high_since >= GROW_AFTER_S
        and scale.count < scale.max
    ):
        count = min(scale.max, max(scale.count + 1, ceil(ready * load / TARGET)))
        return pressure.change(
            count, now
        ), f"load {load:.0%} of each of {ready}, for {GROW_AFTER_S:g} s or more"
    if (
        pressure.low_since is not None
        and now - pressure.low_since >= SHRINK_AFTER_S
        and scale.count > scale.min
    ):
        return pressure.change(
            scale.count - 1, now
        ), f"load {load:.0%} of each of {ready}, {without_one:.0%} with one less"
    return scale.count, ""
