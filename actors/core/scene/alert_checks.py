"""What the types of an alert rule cannot say: names that lead nowhere, conditions that nothing can
meet. Pure; for the registry, off the hot path."""

from collections.abc import Collection
from math import isfinite
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from actors.core.scene.alert_rules import ANY_ALARM, EVENT_TYPES, AlertRule, Condition


def alert_problem(
    rule: AlertRule, zones: Collection[str], lines: Collection[str], *, event_only: bool = False
) -> str | None:
    """What is wrong with `rule` in a scene with these zones and lines, for people."""
    for number, one in enumerate(rule.when, 1):
        if (why := _condition(one, zones, lines)) is not None:
            return f"condition {number} {why}"
    for kind in rule.clear_on:
        if (why := _unknown(kind)) is not None:
            return f"clear_on {why}"
    if rule.clear_after_s != "never" and not isfinite(rule.clear_after_s):
        return "clear_after_s is not a number"
    if event_only and rule.clear_after_s != "never" and not rule.clear_on:
        return "waits for the time of frames, and this camera sends none (event_only): use clear_on"
    if rule.during is not None:
        try:
            ZoneInfo(rule.during.zone)
        except (ZoneInfoNotFoundError, ValueError):
            return f"names no time zone: {rule.during.zone!r}"
        if any(window.from_ == window.to for window in rule.during.windows):
            return "has a window that ends when it begins"
    return None


def _condition(one: Condition, zones: Collection[str], lines: Collection[str]) -> str | None:
    if not one.events and not one.occupancy:
        return "names neither events nor occupancy"
    only_events = (one.zones, one.lines, one.labels, one.at_least)
    if one.events is None and any(value is not None for value in only_events):
        return "names zones, lines, labels or at_least, which belong to events"
    for kind in one.events or ():
        if (why := _unknown(kind)) is not None:
            return why
    named = [*(one.zones or ()), *(term.zone for term in one.occupancy)]
    if (missing := next((zone for zone in named if zone not in zones), None)) is not None:
        return f"names no zone of this scene: {missing!r}"
    if (missing := next((line for line in one.lines or () if line not in lines), None)) is not None:
        return f"names no line of this scene: {missing!r}"
    if not all(isfinite(term.for_s) for term in one.occupancy):
        return "has a for_s that is not a number"
    return None


def _unknown(kind: str) -> str | None:
    if kind.startswith("alert."):
        return f"looks at alerts: {kind!r}"
    alarm = kind == ANY_ALARM or (kind.startswith("alarm.") and len(kind) > len("alarm."))
    return None if alarm or kind in EVENT_TYPES else f"names no type of event: {kind!r}"
