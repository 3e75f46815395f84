"""The scene of a camera: its zones, lines and rules, as the registry keeps them (TOML and REST use
these shapes)."""

from typing import Annotated, Literal

import msgspec

from actors.core.identifiers import CameraId, Label
from actors.core.scene.alert_rules import AlertRule
from actors.core.scene.ground import GroundPlane
from actors.core.severity import Severity

Anchor = Literal["bottom_center", "center", "any_corner", "all_corners"]
Unit = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Point = tuple[Unit, Unit]
Frames = Annotated[int, msgspec.Meta(ge=1, le=100)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=60_000)]
Metres = Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]


class Zone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A polygon. An object is inside after `enter_frames` frames and `enter_ms` of capture time
    inside, outside after `exit_*` outside."""

    points: Annotated[list[Point], msgspec.Meta(min_length=3, max_length=64)]
    anchor: Anchor = "bottom_center"
    labels: list[Label] | None = None
    enter_frames: Frames = 3
    enter_ms: Milliseconds = 0
    exit_frames: Frames = 3
    exit_ms: Milliseconds = 500
    loitering_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] | None = None


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A polyline with two named directions. Seen walking from the first point to the last, crossing
    from left to right is `in`.

    An object has crossed after `frames` frames on the other side and `min_travel` (picture widths)
    beyond the line, up to four times that after it went to and fro over the line: more than jitter
    makes of one that stands on it.
    """

    points: Annotated[list[Point], msgspec.Meta(min_length=2, max_length=32)]
    labels: list[Label] | None = None
    name_in: Label = "in"
    name_out: Label = "out"
    frames: Frames = 3
    min_travel: Annotated[float, msgspec.Meta(ge=0, le=0.5)] = 0.015


class Ground(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A ground calibration: points of the picture, and where they are on the ground, in metres from
    any origin. At least four pairs in the same order, not on a line; more than four are averaged.
    With it tracks have speeds."""

    picture: Annotated[list[Point], msgspec.Meta(min_length=4, max_length=32)]
    metres: Annotated[list[tuple[Metres, Metres]], msgspec.Meta(min_length=4, max_length=32)]

    def __post_init__(self) -> None:
        """Raises ValueError for pairs that make no plane; read from JSON or TOML it is a
        ValidationError."""
        GroundPlane(self.picture, self.metres)


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where the camera is and what for: told with its state, never with every event."""

    name: Annotated[str, msgspec.Meta(max_length=120)] | None = None
    lat: Annotated[float, msgspec.Meta(ge=-90, le=90)] | None = None
    lon: Annotated[float, msgspec.Meta(ge=-180, le=180)] | None = None
    floor: Annotated[str, msgspec.Meta(max_length=32)] | None = None
    purpose: Annotated[str, msgspec.Meta(max_length=240)] | None = None


class Scene(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All the rules of one camera. Times are capture time in seconds.

    Frames are expected at `expected_fps` (None: as often as they came so far); a camera that gives
    none for three of them, and at least `camera.stale_after_s`, is not seeing. `event_only`: none
    are expected, it is never stale while its device is heard. `severities` overrides the severity
    of an event by ``<type>`` or, stronger, ``<type>/<zone or line>``. `alerts`: when somebody is
    needed.
    """

    zones: Annotated[dict[CameraId, Zone], msgspec.Meta(max_length=64)] = {}
    lines: Annotated[dict[CameraId, Line], msgspec.Meta(max_length=64)] = {}
    min_hits: Frames = 3
    lost_after_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 5.0
    stationary_after_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 10.0
    expected_fps: Annotated[float, msgspec.Meta(gt=0, le=240)] | None = None
    event_only: bool = False
    severities: Annotated[dict[str, Severity], msgspec.Meta(max_length=64)] = {}
    ground: Ground | None = None
    place: Place | None = None
    alerts: Annotated[dict[CameraId, AlertRule], msgspec.Meta(max_length=32)] = {}
