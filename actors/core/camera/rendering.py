"""What dashboards see of a camera, rendered: the state and its summary.

No dashboard ever sees a count that a crash takes back, so a state folds in committed events only. A
`RenderedState` is one such state, all of it (boxes too) as of one moment: `CameraCore` takes one
when every event is committed, or together with the commit row that holds them.
"""

import msgspec

from actors.core import severity
from actors.core.boxes import shown
from actors.core.camera.tracks import Picture, Track
from actors.core.messages.states import (
    AlertView,
    FpsQuality,
    Health,
    LastEvent,
    LineCount,
    Status,
    Summary,
    TrackView,
)
from actors.core.redaction import repeats
from actors.core.scene.scene import Place
from actors.core.times import rfc3339

UNTRACKED = "~"  # ids of boxes without a track begin with it; they live for one frame
_CONDITION = {"online": "info", "stale": "notice", "offline": "warning"}

_encoder = msgspec.json.Encoder()


class RenderedState(msgspec.Struct):
    """One moment of a camera, ready to be encoded under any version. Times are RFC 3339; `frame_us`
    is when its last frame came in."""

    offset: int
    status: Status
    reason: str | None
    time: str | None
    received: str | None
    fps: float
    frame_us: int
    objects: dict[str, int]
    occupancy: dict[str, dict[str, int]]
    counts: dict[str, LineCount]
    severity: str
    last_event: LastEvent | None
    health: Health
    place: Place | None
    tracks: list[TrackView]
    alerts: list[AlertView]
    unknown_since: str | None = None


def objects_by_label(picture: Picture) -> dict[str, int]:
    """Confirmed open tracks, and boxes without a track in the last frame, by label."""
    found: dict[str, int] = {}
    for track in picture.tracks.values():
        if track.confirmed:
            found[track.label] = found.get(track.label, 0) + 1
    for box in picture.untracked:
        found[box.label] = found.get(box.label, 0) + 1
    return found


def line_counts(picture: Picture) -> dict[str, LineCount]:
    """Flow per line; a line that has counted no frame yet begins at 1970."""
    return {
        key: LineCount(count.ins, count.outs, rfc3339(count.since_us))
        for key, count in picture.counts.items()
    }


def track_views(picture: Picture) -> list[TrackView]:
    """The confirmed open tracks, then the boxes of the last frame that have no track (ids ``~0``,
    ``~1``, …)."""
    views = [_track_view(track) for track in picture.tracks.values() if track.confirmed]
    views.extend(
        TrackView(
            f"{UNTRACKED}{index}",
            box.label,
            box.score or 0.0,
            _short(box.box),
            [],
            False,
            box.sub_label,
            box.attributes,
        )
        for index, box in enumerate(picture.untracked)
    )
    return views


def _track_view(track: Track) -> TrackView:
    extra = track.extra
    sub_label, attributes = (
        (extra.sub_label, extra.attributes) if extra is not None else (None, None)
    )
    zones = [key for key, stay in track.stays.items() if stay.inside]
    speed = None
    if track.pace is not None and track.pace.speed is not None:
        speed = 0.0 if track.stationary else round(track.pace.speed, 2)
    return TrackView(
        track.id,
        track.label,
        track.score,
        _short(track.box),
        zones,
        track.stationary,
        sub_label,
        attributes,
        speed,
    )


def fps_quality(fps: float, expected: float | None) -> FpsQuality:
    """Frigate's grades of a stream against what was expected of it (video reference 1.3)."""
    if expected is None:
        return "unknown"
    return "good" if fps >= 0.9 * expected else "fair" if fps >= 0.6 * expected else "poor"


def _short(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = shown(box)
    return (round(x1, 5), round(y1, 5), round(x2, 5), round(y2, 5))


def severity_now(status: Status, alert: str, loitering: int) -> str:
    """The highest of the camera's condition, its recent alerts and what goes on now."""
    return severity.highest(_CONDITION[status], alert, "warning" if loitering else "info")


def render(
    view: RenderedState, *, camera: str, site: str, generation: int, version: int, now_us: int
) -> tuple[bytes, bytes]:
    """(state JSON, summary JSON). A frame rate older than three frames (at least 2 s) is no frame
    rate: 0."""
    quiet_us = now_us - view.frame_us
    going = view.fps > 0 and quiet_us < max(2_000_000, 3_000_000 / view.fps)
    fps = view.fps if going else 0.0
    health = msgspec.structs.replace(
        view.health, fps_quality=fps_quality(fps, view.health.expected_fps)
    )
    summary = _encoder.encode(
        Summary(
            camera=camera,
            site=site,
            generation=generation,
            version=version,
            offset=view.offset,
            status=view.status,
            reason=view.reason,
            time=view.time,
            received=view.received,
            unknown_since=view.unknown_since,
            fps=fps,
            objects=view.objects,
            occupancy=view.occupancy,
            counts=view.counts,
            severity=view.severity,
            last_event=view.last_event,
            alerts=view.alerts or msgspec.UNSET,
            health=health,
            echoes=_echoes(view),
        )
    )
    place = b"" if view.place is None else b',"place":' + _encoder.encode(view.place)
    return summary[:-1] + b',"tracks":' + _encoder.encode(view.tracks) + place + b"}", summary


def _echoes(view: RenderedState) -> dict[str, tuple[str, ...]] | msgspec.UnsetType:
    """What a summary says that attributes of a track say too: without the tracks nobody could tell
    that it is to be hidden."""
    private = [
        {"sub_label": track.sub_label, **(track.attributes or {})}
        for track in view.tracks
        if track.sub_label is not None or track.attributes
    ]
    if not private:
        return msgspec.UNSET
    last = view.last_event
    inside = {label for labels in view.occupancy.values() for label in labels}
    texts = {*view.objects, *view.occupancy, *inside, *view.counts, view.health.session}
    texts |= {text for alert in view.alerts for text in (alert.rule, alert.place) if text}
    texts |= (
        {text for text in (last.type, last.label, last.zone, last.line) if text}
        if last is not None
        else set()
    )
    return repeats(texts, *private) or msgspec.UNSET
