"""What an event's `data` holds, one struct per type: the core makes them, the schemas are generated
from them (`hub.web.schemas`).

Fields are only added, optional ones; a field that changes its meaning is a new event type. Times
are RFC 3339, durations seconds of capture time, points and boxes picture coordinates (0..1).
"""

from typing import Annotated, Any, Literal

import msgspec

from actors.core.times import Rfc3339

EndReason = Literal["completed", "lost", "session_reset", "replaced"]


class EventData(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The base of all; by itself the data of an event that says everything in its envelope."""


class Reason(EventData, frozen=True):
    """`camera.stale` and `camera.offline`: why."""

    reason: str


class ClockStepped(EventData, frozen=True):
    """`camera.clock_stepped`: the device's clock went back, or ahead by more than a day, by so
    much; durations go on."""

    back_s: float
    ahead_s: float = 0.0


class SceneChanged(EventData, frozen=True):
    """`camera.scene_changed`: from the next observation on. Rules are named ``zone:<id>`` and
    ``line:<id>``."""

    version: int
    added: list[str] = []
    removed: list[str] = []
    changed: list[str] = []


class FinalCount(EventData, frozen=True, rename={"in_": "in"}):
    """What a line had counted when it was set to zero; `since` is missing when it had counted no
    frame."""

    in_: int
    out: int
    since: Rfc3339 | None = None


class CountsReset(EventData, frozen=True):
    """`camera.counts_reset`: these lines count from zero again; their counts until then."""

    lines: dict[str, FinalCount]
    reason: str | None = None


class Gap(EventData, frozen=True):
    """`stream.gap`: observations that will never come, declared by the edge or given up after the
    hole's timeout."""

    first_seq: int
    last_seq: int
    missing: int
    reason: str


class Integrity(EventData, frozen=True):
    """`stream.integrity`: another body came under a seq that was applied already. What was applied
    stays."""

    seq: int


class LetterReplayed(EventData, frozen=True):
    """`stream.replayed`: a dead letter that today's rules take; `session` and `seq` are where it
    once stood, `code` why it was refused.

    A fact of its own: nothing else follows from it but its alarm.
    """

    letter: int
    session: str
    seq: int
    code: str
    objects: dict[str, int] = {}
    alarm: str | None = None


class TrackStarted(EventData, frozen=True):
    """`track.started`: the track was confirmed."""

    box: list[float]


class TrackEnded(EventData, frozen=True):
    """`track.ended`; with the reason `replaced` its id was given to something else. `distance` in
    picture widths; the rest in metres only with a ground calibration and at least a second of
    track."""

    end_reason: EndReason
    duration_s: float
    hits: int
    start: list[float]
    end: list[float]
    distance: float
    stationary_s: float
    top_score: float
    entered_zones: list[str]
    distance_m: float | None = None
    average_speed_mps: float | None = None
    top_speed_mps: float | None = None


class TrackStopped(EventData, frozen=True):
    """`track.stopped`: the object has not moved for the scene's `stationary_after_s`, since `since`
    (stream time)."""

    box: list[float]
    since: Rfc3339


class TrackUpdated(EventData, frozen=True):
    """`track.updated`: the track's label is another than was told so far (`previous_label`), since
    most sightings say so."""

    previous_label: str
    box: list[float]


class TrackMoved(EventData, frozen=True):
    """`track.moved`: a stationary object moves again."""

    stationary_s: float


class ZoneExited(EventData, frozen=True):
    """`zone.exited`. `reason`: ``left``, an end of the track, or ``scene_changed``."""

    dwell_s: float
    reason: str


class LineCrossed(EventData, frozen=True):
    """`line.crossed`: `way` is what the scene calls the direction, `point` where the object was
    when it counted."""

    direction: Literal["in", "out"]
    way: str
    point: list[float]


class Dwell(EventData, frozen=True):
    """`loitering.started` and `loitering.ended`: how long the object has been in the zone."""

    dwell_s: float


class AlertOccurred(EventData, frozen=True):
    """`alert.raised` and `alert.changed`: a point of the scene's rule, at a zone or line where the
    rule looks at one, stands at this occurrence. `cause`: the event that raised it."""

    rule: str
    occurrence: int
    since: Rfc3339
    place: str = ""
    cause: str | None = None


class AlertCleared(EventData, frozen=True):
    """`alert.cleared`: it is over, raised `since`. `reason`: ``quiet``, ``by_hand``,
    ``rule_removed``, or the type of the event that cleared it."""

    rule: str
    occurrence: int
    since: Rfc3339
    reason: str
    place: str = ""


class AlarmData(EventData, frozen=True):
    """`alarm.<type>`: what the edge said, as it said it."""

    text: Annotated[str, msgspec.Meta(max_length=1024)] | None = None
    data: dict[str, Any] | None = None


ALARM = "alarm."
ALERT = "alert."

TYPES: dict[str, type[EventData]] = {
    "camera.online": EventData,
    "camera.stale": Reason,
    "camera.offline": Reason,
    "camera.clock_stepped": ClockStepped,
    "camera.scene_changed": SceneChanged,
    "camera.counts_reset": CountsReset,
    "stream.gap": Gap,
    "stream.integrity": Integrity,
    "stream.replayed": LetterReplayed,
    "track.started": TrackStarted,
    "track.ended": TrackEnded,
    "track.stopped": TrackStopped,
    "track.moved": TrackMoved,
    "track.updated": TrackUpdated,
    "zone.entered": EventData,
    "zone.exited": ZoneExited,
    "line.crossed": LineCrossed,
    "loitering.started": Dwell,
    "loitering.ended": Dwell,
    "alert.raised": AlertOccurred,
    "alert.changed": AlertOccurred,
    "alert.cleared": AlertCleared,
}


def shape_of(kind: str) -> type[EventData]:
    """The struct of an event type's data. Raises KeyError for a type that does not exist."""
    return AlarmData if kind.startswith(ALARM) else TYPES[kind]
