"""A scene compiled for the hot path, and what changed between two scenes."""

import hashlib

import msgspec

from actors.core.scene.alert_rules import AlertRule, CompiledRule
from actors.core.scene.ground import GroundPlane
from actors.core.scene.lines import CompiledLine
from actors.core.scene.scene import Ground, Line, Scene, Zone
from actors.core.scene.zones import CompiledZone

_encoder = msgspec.json.Encoder(order="deterministic")


def digest(rule: Zone | Line | Ground | AlertRule) -> str:
    """16 hex digits that change with the rule."""
    return hashlib.sha256(_encoder.encode(rule)).hexdigest()[:16]


class SceneRules:
    """Zones, lines, alert and track rules in microseconds. `digests` (``zone:<id>``, ``line:<id>``,
    ``alert:<id>``, ``ground``) tell two versions of one apart."""

    __slots__ = (
        "alerts",
        "digests",
        "event_only",
        "expected_fps",
        "ground",
        "lines",
        "lost_us",
        "min_hits",
        "place",
        "severities",
        "stationary_us",
        "zones",
    )

    def __init__(self, scene: Scene) -> None:
        self.zones = {
            key: CompiledZone(key, zone, digest(zone)) for key, zone in sorted(scene.zones.items())
        }
        self.lines = {
            key: CompiledLine(key, line, digest(line)) for key, line in sorted(scene.lines.items())
        }
        self.min_hits = scene.min_hits
        self.lost_us = round(scene.lost_after_s * 1_000_000)
        self.stationary_us = round(scene.stationary_after_s * 1_000_000)
        self.expected_fps = scene.expected_fps
        self.event_only = scene.event_only
        self.severities = scene.severities
        self.place = scene.place
        self.ground = (
            GroundPlane(scene.ground.picture, scene.ground.metres)
            if scene.ground is not None
            else None
        )
        self.digests = {f"zone:{key}": zone.digest for key, zone in self.zones.items()}
        self.digests |= {f"line:{key}": line.digest for key, line in self.lines.items()}
        if scene.ground is not None:
            self.digests["ground"] = digest(scene.ground)
        self.alerts = [CompiledRule(key, rule) for key, rule in sorted(scene.alerts.items())]
        self.digests |= {f"alert:{key}": digest(rule) for key, rule in scene.alerts.items()}


def changed(old: dict[str, str], new: dict[str, str]) -> dict[str, list[str]]:
    """Rules ``added``, ``removed`` and ``changed`` from one `SceneRules.digests` to another; only
    what is not empty."""
    found = {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": sorted(key for key in old.keys() & new.keys() if old[key] != new[key]),
    }
    return {key: names for key, names in found.items() if names}
