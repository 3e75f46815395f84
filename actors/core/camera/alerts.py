"""The alert points of one camera: raised, counted and cleared by what happens to it (pure).

A point is kept once it was raised, for its occurrences are counted on and on: triage names the one
that it saw. What comes while a point is raised is an occurrence of it, told at most every
`TELL_US` of stream time; ``alert.raised`` and ``alert.cleared`` are told at once.
"""

import msgspec

from actors.core.camera.journal import Journal
from actors.core.messages.alerts import AlertPoint
from actors.core.messages.event_data import AlertCleared, AlertOccurred
from actors.core.messages.states import AlertView
from actors.core.scene.alert_rules import (
    EVENT_TYPES,
    CompiledRule,
    Condition,
    Occupancy,
    occupied,
)
from actors.core.severity import ORDER, highest
from actors.core.times import rfc3339

MAX_POINTS = 256  # of one camera; beyond it a rule stays silent at further places
TELL_US = 10_000_000  # stream time between two `alert.changed` of a point
SHOWN = 8  # points in a state
# Events that come with another number of objects in some zone.
_OCCUPYING = frozenset({"zone.entered", "zone.exited", "track.updated", "track.ended"})


class Alerts:
    """The points of one camera under the rules of its scene. `occupancy` is that of the picture.

    A frame costs next to nothing while no point is raised and nobody came into a zone or went:
    `_look` says that somebody did, or that a condition waits for its time.
    """

    __slots__ = ("_look", "_named", "_of_kind", "_raised", "occupancy", "points", "rules")

    def __init__(self, rules: list[CompiledRule], points: list[AlertPoint]) -> None:
        self.points = {(point.rule, point.place): point for point in points}
        self.occupancy: dict[str, dict[str, int]] = {}
        self._use(rules)

    def _use(self, rules: list[CompiledRule]) -> None:
        self.rules = rules
        self._named = {rule.name: rule for rule in rules}
        self._of_kind: dict[str, list[CompiledRule]] = {}
        self._look = True
        self._raised = sum(point.active for point in self.points.values())

    def saw(
        self,
        journal: Journal,
        kind: str,
        zone: str | None,
        line: str | None,
        label: str | None,
        level: str,
        cause: str,
    ) -> None:
        """An event of the camera happened, `cause` by its id."""
        if kind in _OCCUPYING:
            self._look = True
        rules = self._of_kind.get(kind)
        if rules is None:
            rules = [rule for rule in self.rules if rule.hears(kind)]
            if kind in EVENT_TYPES:  # the types of alarms are without number
                self._of_kind[kind] = rules
        for rule in rules:
            if rule.clears(kind) and not (kind == "zone.exited" and self._held(rule, zone or "")):
                self._clear_at(journal, rule, zone or line or "", kind)
            so = rule.moments and any(
                all(occupied(term, self.occupancy) for term in one.occupancy)
                for one in rule.fits(kind, zone, line, label, level)
            )
            if so and rule.looks(journal.time_us):
                self._occur(journal, rule, zone or line or "", zone, line, cause)

    def frame(self, journal: Journal) -> None:
        """A frame was applied: look at what is in the zones, and at what is over."""
        if self._look:
            self._look = False
            for rule in self.rules:
                for place, one in rule.states:
                    self._state(journal, rule, place, one)
        if not self._raised:
            return
        for point in self.points.values():
            if not point.active:
                continue
            rule = self._named[point.rule]
            # another session's clock may have been ahead
            point.last_us = min(point.last_us, journal.stream_us)
            quiet_us = journal.stream_us - point.last_us
            if rule.clear_us is not None and not point.holds_us and quiet_us >= rule.clear_us:
                self._clear(journal, point, "quiet")
            elif (
                point.occurrences > point.told and abs(journal.stream_us - point.told_us) >= TELL_US
            ):
                self._tell(journal, point, "alert.changed")

    def adopt(self, journal: Journal, rules: list[CompiledRule]) -> None:
        """Go on under other rules: a point whose rule is gone is cleared, and forgotten with the
        next row."""
        self._use(rules)
        for point in self.points.values():
            rule = self._named.get(point.rule)
            if rule is not None:
                point.severity = rule.severity
            elif point.active:
                self._clear(journal, point, "rule_removed")

    def worst(self) -> str:
        """The severity of the worst raised point."""
        return highest("info", *(p.severity for p in self.points.values() if p.active))

    def views(self) -> list[AlertView]:
        """The raised points, the worst and then the oldest first, at most `SHOWN`."""
        raised = sorted(
            (point for point in self.points.values() if point.active),
            key=lambda point: (-ORDER[point.severity], point.since_us, point.rule, point.place),
        )
        return [
            AlertView(p.rule, p.severity, rfc3339(p.since_us), p.occurrences, p.place)
            for p in raised[:SHOWN]
        ]

    def rows(self) -> list[AlertPoint]:
        """What a snapshot keeps."""
        return list(self.points.values())

    def taken(self) -> list[AlertPoint]:
        """Copies of the points that changed since the last call: for the row of the commit."""
        found = []
        for key, point in list(self.points.items()):
            if point.changed:
                point.changed = False
                found.append(msgspec.structs.replace(point))
            if not point.active and point.rule not in self._named:
                del self.points[key]
        return found

    def _state(self, journal: Journal, rule: CompiledRule, place: str, one: Condition) -> None:
        so = all(occupied(term, self.occupancy) for term in one.occupancy)
        if so and rule.during is not None:  # the hour may end, or begin, without anybody moving
            self._look = True
            so = rule.during.holds(journal.time_us)
        point = self.points.get((rule.name, place))
        if not so:
            if point is not None and point.holds_us:
                point.holds_us, point.last_us = 0, journal.stream_us
            return
        if point is None and (point := self._new(rule, place)) is None:
            return
        if not point.holds_us:
            point.holds_us = max(1, journal.stream_us)
        if point.active:
            return
        longest_us = round(max(term.for_s for term in one.occupancy) * 1_000_000)
        if journal.stream_us - point.holds_us >= longest_us:
            self._occur(journal, rule, place, place, None, "")
        else:
            self._look = True

    def _new(self, rule: CompiledRule, place: str) -> AlertPoint | None:
        if len(self.points) >= MAX_POINTS:
            return None
        point = AlertPoint(rule.name, place, rule.severity)
        self.points[rule.name, place] = point
        return point

    def _occur(
        self,
        journal: Journal,
        rule: CompiledRule,
        place: str,
        zone: str | None,
        line: str | None,
        cause: str,
    ) -> None:
        point = self.points.get((rule.name, place)) or self._new(rule, place)
        if point is None:
            return
        point.occurrences += 1
        point.last_us = journal.stream_us
        point.changed = True
        if not point.active:
            point.active, point.since_us, point.cause = True, journal.time_us, cause
            self._raised += 1
            self._tell(journal, point, "alert.raised", zone=zone, line=line)

    def _clear_at(self, journal: Journal, rule: CompiledRule, place: str, why: str) -> None:
        for point in self.points.values():
            if point.active and point.rule == rule.name and (not place or point.place == place):
                self._clear(journal, point, why)

    def _held(self, rule: CompiledRule, zone: str) -> bool:
        """Whether somebody else whose coming raises the rule is still in the zone."""
        return any(
            "zone.entered" in (one.events or ())
            and occupied(Occupancy(zone, labels=one.labels), self.occupancy)
            for one in rule.moments
        )

    def clear_by_hand(self, journal: Journal, rule: str, place: str) -> bool:
        """A person says that it is over; False where nothing is raised."""
        point = self.points.get((rule, place))
        if point is None or not point.active:
            return False
        self._clear(journal, point, "by_hand")
        return True

    def _clear(self, journal: Journal, point: AlertPoint, reason: str) -> None:
        point.active, point.holds_us, point.changed = False, 0, True
        self._raised -= 1
        self._look = True
        point.told = point.occurrences
        journal.emit(
            "alert.cleared",
            data=AlertCleared(
                rule=point.rule,
                place=point.place,
                occurrence=point.occurrences,
                reason=reason,
                since=rfc3339(point.since_us),
            ),
            level="info",
        )

    def _tell(
        self,
        journal: Journal,
        point: AlertPoint,
        kind: str,
        *,
        zone: str | None = None,
        line: str | None = None,
    ) -> None:
        point.told, point.told_us = point.occurrences, journal.stream_us
        journal.emit(
            kind,
            data=AlertOccurred(
                rule=point.rule,
                place=point.place,
                occurrence=point.occurrences,
                since=rfc3339(point.since_us),
                cause=point.cause or None,
            ),
            zone=zone,
            line=line,
            level=point.severity,
        )
