"""When a schedule makes a job: every so many seconds, or daily at a local time. Pure: time is an
argument, in microseconds since 1970.

A *slot* is a nominal moment; it is *due* a little later, by a share of the jitter that follows from
the name and the slot alone: everybody who asks gets the same answer. However many slots were
missed, the next one is the first that is still to come: missed slots run once.
"""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from actors.core.errors import BadInput
from actors.core.times import from_us, to_us

SECOND_US = 1_000_000
SHORTEST_S = 1.0
LONGEST_S = 366 * 86_400.0
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


class Timing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Either `every_s` seconds, counted from 1970 so that restarts move nothing, or daily `at`
    ``HH:MM`` in `zone` (IANA). Due up to `jitter_s` seconds after the slot."""

    every_s: float = 0.0
    at: str = ""
    zone: str = "UTC"
    jitter_s: float = 0.0


def check(timing: Timing) -> Timing:
    """The same. Raises BadInput when it says nothing, two things, or nonsense."""
    if bool(timing.every_s) == bool(timing.at):
        raise BadInput("a schedule has either every_s or at")
    if timing.at and _CLOCK.fullmatch(timing.at) is None:
        raise BadInput(f"at is a local time HH:MM, not {timing.at[:20]!r}")
    if timing.every_s and not SHORTEST_S <= timing.every_s <= LONGEST_S:
        raise BadInput(f"every_s lies between {SHORTEST_S:g} and {LONGEST_S:g} seconds")
    period_s = timing.every_s or 86_400.0
    if not 0 <= timing.jitter_s <= period_s / 2:
        raise BadInput(f"jitter_s lies between 0 and half of the period, {period_s / 2:g} s")
    _zone(timing.zone)
    return timing


def next_slot(timing: Timing, after_us: int) -> int:
    """The first slot later than `after_us`."""
    if timing.every_s:
        every_us = round(timing.every_s * SECOND_US)
        return (after_us // every_us + 1) * every_us
    zone = _zone(timing.zone)
    day = from_us(after_us).astimezone(zone).date() - timedelta(days=1)
    while True:
        slot = _daily(timing.at, zone, day.year, day.month, day.day)
        if slot > after_us:
            return slot
        day += timedelta(days=1)


def due_us(name: str, timing: Timing, slot_us: int) -> int:
    """When the slot of schedule `name` is due: its jitter follows from name and slot."""
    digest = hashlib.sha256(f"{name}\0{slot_us}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return slot_us + int(share * timing.jitter_s * SECOND_US)


def _daily(at: str, zone: ZoneInfo, year: int, month: int, day: int) -> int:
    """The slot of one local day.

    In the hour that summer time leaves out the clock reads as it did before the change, so 02:30 is
    03:30; in the hour that comes twice the first one counts (PEP 495, fold 0).
    """
    hour, minute = at.split(":")
    local = datetime(year, month, day, int(hour), int(minute), tzinfo=zone, fold=0)
    return to_us(local.astimezone(UTC))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadInput(f"there is no time zone {name[:40]!r}") from error
