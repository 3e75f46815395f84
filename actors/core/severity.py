"""How severe an event is: defaults by type, overridden by the scene's rules."""

from collections.abc import Mapping
from typing import Literal

Severity = Literal["info", "notice", "warning", "critical"]


ORDER: dict[str, int] = {"info": 0, "notice": 1, "warning": 2, "critical": 3}
# stream time for which an alert colours the state after its last event (video reference 2.2,
# "cutoff_s")
ALERT_HOLD_US = 30_000_000

DEFAULTS: dict[str, Severity] = {
    "camera.stale": "notice",
    "camera.offline": "warning",
    "camera.clock_stepped": "notice",
    "stream.gap": "warning",
    "stream.integrity": "critical",
    "stream.replayed": "notice",
    "zone.entered": "notice",
    "loitering.started": "warning",
    "loitering.ended": "notice",
}


def of(kind: str, place: str | None, overrides: Mapping[str, Severity]) -> Severity:
    """The severity of an event of type `kind` at `place` (a zone or line id)."""
    if overrides:
        found = overrides.get(f"{kind}/{place}") or overrides.get(kind)
        if found is not None:
            return found
    return DEFAULTS.get(kind, "info")


def highest(*severities: str) -> str:
    """The most severe of these."""
    return max(severities, key=ORDER.__getitem__)
