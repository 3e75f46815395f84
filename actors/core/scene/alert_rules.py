"""When a camera needs a person: rules of the scene, and the same compiled for the hot path.

A rule has *points*, one for each zone or line that it looks at, or one for the whole camera: what
ISA-18.2 calls an alarm. A point is raised by an event that fits (each one is an occurrence), or by
objects that are in zones for long enough; it is cleared when nothing of it was so for
`clear_after_s`, by an event of `clear_on`, or only by hand. Times are stream time, which stands
still while the camera sees nothing: what is not known is not cleared.
"""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec

from actors.core.identifiers import CameraId, Label
from actors.core.severity import ORDER, Severity
from actors.core.times import EPOCH, MICROSECOND

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TimeOfDay = Annotated[str, msgspec.Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
EventType = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
Wait = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
ANY_ALARM = "alarm.*"
# What a rule may look at, beside ``alarm.<type>``: all types of events but those of alerts.
EVENT_TYPES = frozenset(
    [
        "camera.online",
        "camera.stale",
        "camera.offline",
        "camera.clock_stepped",
        "camera.scene_changed",
        "camera.counts_reset",
        "stream.gap",
        "stream.integrity",
        "stream.replayed",
        "track.started",
        "track.ended",
        "track.stopped",
        "track.moved",
        "track.updated",
        "zone.entered",
        "zone.exited",
        "line.crossed",
        "loitering.started",
        "loitering.ended",
    ]
)


class Occupancy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """More than `over` objects (of `labels`) in a zone, for `for_s` without a pause."""

    zone: CameraId
    over: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    labels: Annotated[list[Label], msgspec.Meta(max_length=64)] | None = None
    for_s: Wait = 0.0


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of it must be so. With `events` (types; ``alarm.*`` is every alarm) it is so at the
    moment of such an event, in these `zones` or on these `lines`, of these `labels`, at least so
    severe; without, for as long as `occupancy` is so."""

    events: Annotated[list[EventType], msgspec.Meta(max_length=32)] | None = None
    zones: Annotated[list[CameraId], msgspec.Meta(max_length=64)] | None = None
    lines: Annotated[list[CameraId], msgspec.Meta(max_length=64)] | None = None
    labels: Annotated[list[Label], msgspec.Meta(max_length=64)] | None = None
    at_least: Severity | None = None
    occupancy: Annotated[list[Occupancy], msgspec.Meta(max_length=8)] = []


class HoursWindow(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}
):
    """From one local time to another (past midnight where it is the earlier one), on the days on
    which it begins."""

    from_: TimeOfDay
    to: TimeOfDay
    days: Annotated[list[Day], msgspec.Meta(min_length=1, max_length=7)] | None = None


class AlertHours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rule looks only within these windows, in local time of an IANA zone."""

    zone: Annotated[str, msgspec.Meta(max_length=64)]
    windows: Annotated[list[HoursWindow], msgspec.Meta(min_length=1, max_length=32)]


class AlertRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Raised when any condition of `when` is so. `clear_after_s`: ``never`` leaves it to `clear_on`
    and to people."""

    when: Annotated[list[Condition], msgspec.Meta(min_length=1, max_length=8)]
    severity: Severity = "warning"
    during: AlertHours | None = None
    clear_after_s: Wait | Literal["never"] = 60.0
    clear_on: Annotated[list[EventType], msgspec.Meta(max_length=16)] = []


class CompiledHours:
    """A schedule that answers for times in microseconds since 1970."""

    __slots__ = ("_windows", "_zone")

    def __init__(self, schedule: AlertHours) -> None:
        self._zone = ZoneInfo(schedule.zone)
        self._windows = [
            (
                frozenset(map(DAYS.index, window.days)) if window.days else frozenset(range(7)),
                window.from_,
                window.to,
            )
            for window in schedule.windows
        ]

    def holds(self, time_us: int) -> bool:
        """Whether the moment lies in a window; the wall clock of the zone counts, also where it
        jumps."""
        local = (EPOCH + time_us * MICROSECOND).astimezone(self._zone)
        return any(_in(local, days, start, end) for days, start, end in self._windows)


def _in(local: datetime, days: frozenset[int], start: str, end: str) -> bool:
    now, today = local.strftime("%H:%M"), local.weekday()
    if start < end:
        return today in days and start <= now < end
    yesterday = (local - timedelta(days=1)).weekday()
    return (today in days and now >= start) or (yesterday in days and now < end)


class CompiledRule:
    """One rule. `states`: its conditions without events, by the place of their point."""

    __slots__ = ("clear_on", "clear_us", "during", "moments", "name", "severity", "states")

    def __init__(self, name: str, rule: AlertRule) -> None:
        self.name = name
        self.severity = rule.severity
        self.during = CompiledHours(rule.during) if rule.during is not None else None
        self.clear_us = (
            None if rule.clear_after_s == "never" else round(rule.clear_after_s * 1_000_000)
        )
        self.clear_on = frozenset(rule.clear_on)
        self.moments = [one for one in rule.when if one.events is not None]
        lasting = [one for one in rule.when if one.events is None and one.occupancy]
        self.states = [(one.occupancy[0].zone, one) for one in lasting]

    def hears(self, kind: str) -> bool:
        """Whether events of this type can matter to it."""
        named = {name for one in self.moments for name in one.events or ()} | self.clear_on
        return kind in named or (ANY_ALARM in named and kind.startswith("alarm."))

    def clears(self, kind: str) -> bool:
        """Whether an event of this type ends it."""
        return kind in self.clear_on or (ANY_ALARM in self.clear_on and kind.startswith("alarm."))

    def looks(self, time_us: int) -> bool:
        """Whether the rule's schedule lets it look at this moment."""
        return self.during is None or self.during.holds(time_us)

    def fits(
        self, kind: str, zone: str | None, line: str | None, label: str | None, level: str
    ) -> list[Condition]:
        """The conditions whose event this is, but for what is in the zones."""
        found = [one for one in self.moments if _fits(one, kind, zone, line, label)]
        return [one for one in found if _severe(one, level)]


def _fits(one: Condition, kind: str, zone: str | None, line: str | None, label: str | None) -> bool:
    named = one.events or ()
    if kind not in named and not (ANY_ALARM in named and kind.startswith("alarm.")):
        return False
    if one.labels is not None and label not in one.labels:
        return False
    if one.zones is None and one.lines is None:
        return True
    return zone in (one.zones or ()) or line in (one.lines or ())


def _severe(one: Condition, level: str) -> bool:
    return one.at_least is None or ORDER[level] >= ORDER[one.at_least]


def occupied(term: Occupancy, occupancy: dict[str, dict[str, int]]) -> bool:
    """Whether more than `over` objects are in the zone now."""
    inside = occupancy.get(term.zone, {})
    labels = inside if term.labels is None else term.labels
    return sum(inside.get(label, 0) for label in labels) > term.over
