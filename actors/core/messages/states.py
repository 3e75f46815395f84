"""What dashboards see of a camera: state and summary (design section 7, "Shapes"). Output structs;
their JSON is the contract."""

from typing import Any, Literal

import msgspec

from actors.core.messages.observations import Backlog
from actors.core.scene.scene import Place
from actors.core.severity import Severity
from actors.core.times import Rfc3339

Quality = Literal["unknown", "good", "fair", "bad", "unusable"]


Status = Literal["online", "stale", "offline"]
FpsQuality = Literal["unknown", "good", "fair", "poor"]


class TrackView(msgspec.Struct, frozen=True, omit_defaults=True):
    """One live track, in Frigate's words. `speed_mps` needs a ground calibration."""

    id: str
    label: str
    score: float
    box: tuple[float, float, float, float]
    current_zones: list[str]
    stationary: bool
    sub_label: str | None = None
    attributes: dict[str, Any] | None = None
    speed_mps: float | None = None


class LineCount(msgspec.Struct, frozen=True, rename={"in_": "in"}):
    """Flow over a line since `since` (RFC 3339)."""

    in_: int
    out: int
    since: Rfc3339


class LastEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """The camera's last event, short. `echoes`: an alarm's type that its data says too → the names
    it has there."""

    id: str
    type: str
    time: Rfc3339
    severity: str
    label: str | None = None
    zone: str | None = None
    line: str | None = None
    echoes: dict[str, tuple[str, ...]] | msgspec.UnsetType = msgspec.UNSET


class AlertView(msgspec.Struct, frozen=True, omit_defaults=True):
    """One raised alert: the scene's rule, the zone or line, since when (RFC 3339), and how often it
    arose since ever."""

    rule: str
    severity: Severity
    since: Rfc3339
    occurrence: int
    place: str = ""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How well the camera's stream comes. Counts are of this activation but for `gaps`, `missing`,
    `rejected`, `left_out` and `mended`, which the camera keeps. The last two are objects by reason
    (`actors.core.messages.object_faults`): not shown at all, and clipped or changed.

    `fps_quality` compares with `expected_fps`: good from 90 %, fair from 60 %. `clock_offset_s` is
    how far our clock is ahead of the device's. `sent` is when the edge published what was applied
    last, by its own clock; `spool` is what it held then and was not acked.
    """

    session: str = ""
    seq: int = 0
    clock_offset_s: float | None = None
    clock_quality: Quality = "unknown"
    expected_fps: float | None = None
    fps_quality: FpsQuality = "unknown"
    gaps: int = 0
    missing: int = 0
    rejected: int = 0
    duplicates: int = 0
    late: int = 0
    tracks_refused: int = 0
    left_out: dict[str, int] = {}
    mended: dict[str, int] = {}
    sent: Rfc3339 | None = None
    spool: Backlog | None = None


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The state without its tracks: what a wall shows of a camera.

    `unknown_since`: no frame came since, so objects, occupancy and tracks are what was seen last
    and not what is there now (when the last frame was received; null while frames come, and before
    the first).

    `alerts`: those that are raised, the worst first, at most eight; missing when there is none.

    `echoes`: labels and names of it that the attributes of its tracks say too → the names of those
    attributes. It is there only where there are such, and only for who may see every class: views
    hide by it.
    """

    camera: str
    site: str
    generation: int
    version: int
    offset: int
    status: Status
    reason: str | None = None
    time: Rfc3339 | None
    received: Rfc3339 | None
    unknown_since: Rfc3339 | None = None
    fps: float
    objects: dict[str, int]
    occupancy: dict[str, dict[str, int]]
    counts: dict[str, LineCount]
    severity: str
    last_event: LastEvent | None = None
    alerts: list[AlertView] | msgspec.UnsetType = msgspec.UNSET
    health: Health
    echoes: dict[str, tuple[str, ...]] | msgspec.UnsetType = msgspec.UNSET


class State(Summary, frozen=True, kw_only=True):
    """The camera now, whole; latest (generation, version) wins."""

    tracks: list[TrackView]
    place: Place | None = None


class Wall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The summaries that changed in a tick; all of them when `full`. `site` is missing on the wall
    of the fleet."""

    site: str | None = None
    tick: int
    full: bool
    cameras: list[Summary]
