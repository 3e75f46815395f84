"""What tests of all routes say to those of alerts, and how an alert comes to a hub of tests."""

from datetime import UTC, datetime
from typing import Any

from storage.ports.alerts import AlertRow, AlertWork
from tests.support.hub.hub import TestHub

NAMES = {"rule": "forced", "act": "note"}
BODIES: dict[str, Any] = {"actOnAlert": {"note": "a fox", "occurrence": 1}}
MATRIX = """
alert.act            camera      operator admin
"""
REST: dict[str, tuple[str, str, Any, int]] = {
    "alert.act": ("POST", "/v1/cameras/{camera}/alerts/none/note", {"note": "a test"}, 404),
}
SINCE = datetime(2026, 3, 1, 12, tzinfo=UTC)


def raise_alert(hub: TestHub, camera: str, *, site: str = "north", **fields: Any) -> None:
    """A point as the camera's actor commits it."""
    known: dict[str, Any] = {
        "rule": "forced",
        "place": "",
        "severity": "critical",
        "active": True,
        "occurrences": 1,
        "since": SINCE,
        "cause": f"{camera}/e1/1",
        "changed": SINCE,
        "work": AlertWork(),
        "now": SINCE,
    }
    row = AlertRow(camera=camera, site=site, **{**known, **fields})
    hub.memory.alerts.points[camera, row.rule, row.place] = row
