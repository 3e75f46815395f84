"""How long personal values stay, by class, site and camera: the shortest rule that fits (pure)."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import msgspec

from storage.ports.keyring import KeyScope

ANY = "*"
LETTERS = "letters"  # the class of keys of dead letters, which go with their letters
LATE_DAYS = 1  # what is there so much longer than it may be outlives its class: retention is daily


class KeepRules:
    """Of `personal.keep`: ``CLASS[@SITE[/CAMERA]]=DAYS``, each as its pattern says."""

    def __init__(self, rules: Iterable[str]) -> None:
        self._days: dict[tuple[str, str, str], int] = {}
        for rule in rules:
            where, _, days = rule.rpartition("=")
            class_, _, place = where.partition("@")
            site, _, camera = place.partition("/")
            key = (class_, site or ANY, camera or ANY)
            self._days[key] = min(int(days), self._days.get(key, int(days)))

    def days(self, scope: KeyScope) -> int | None:
        """How many whole days the values of a key stay; None: no rule says."""
        if scope.class_ == LETTERS:
            return None
        fit = (
            self._days.get((class_, site, camera))
            for class_ in (scope.class_, ANY)
            for site in (scope.site, ANY)
            for camera in (scope.camera, ANY)
        )
        return min((days for days in fit if days is not None), default=None)

    def over(self, keys: Iterable[str], today: date, late_days: int = 0) -> list[str]:
        """Those of these keys whose time was over `late_days` before `today` began, in order. A key
        of today or yesterday never is: a commit may still be on its way under it."""
        found = []
        for name in keys:
            scope = scope_of(name)
            days = self.days(scope)
            if days is not None and _day(scope) < today - timedelta(days=days + late_days):
                found.append(name)
        return sorted(found)


class OverGroup(msgspec.Struct, frozen=True):
    """What is over of one class, site and camera: `keys`, one for each day at least, since `oldest`
    (``YYYY-MM-DD``); of them `held` stay, and `late` should be gone for a day already."""

    class_: str = msgspec.field(name="class")
    site: str
    camera: str
    days: int
    keys: int
    held: int
    late: int
    oldest: str


def grouped(
    rules: KeepRules, keys: Iterable[str], held: frozenset[str], today: date
) -> list[OverGroup]:
    """The plan: what would go, and why the rest of it stays."""
    groups: dict[KeyScope, list[str]] = {}
    for name in rules.over(keys, today):
        groups.setdefault(scope_of(name)._replace(day=""), []).append(name)
    return [
        OverGroup(
            scope.class_,
            scope.site,
            scope.camera,
            rules.days(scope) or 0,
            len(names),
            sum(name in held for name in names),
            len([name for name in rules.over(names, today, LATE_DAYS) if name not in held]),
            _day(scope_of(names[0])).isoformat(),
        )
        for scope, names in sorted(groups.items())
    ]


def scope_of(name: str) -> KeyScope:
    """Of a key's id."""
    day, site, camera, class_, _number = name.split("/")
    return KeyScope(day, site, camera, class_)


def _day(scope: KeyScope) -> date:
    return datetime.strptime(scope.day, "%Y%m%d").replace(tzinfo=UTC).date()
