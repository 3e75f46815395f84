"""The durable part of a camera, as bytes in its row: MessagePack of `Snapshot`.

Compatible one version back and forward: fields are only added, with defaults, at the end of
array-like rows; unknown ones are ignored. A field that must be read differently raises `VERSION`.
"""

from typing import Any

import msgspec

from actors.core.boxes import Box
from actors.core.camera.labels import Votes
from actors.core.camera.tracks import Picture, Track
from actors.core.errors import BadInput
from actors.core.messages.alerts import AlertPoint
from actors.core.messages.states import LastEvent, Status
from actors.core.scene.ground import Pace
from actors.core.scene.lines import Count, Crossing
from actors.core.scene.zones import Stay

VERSION = 1


class TrackRow(msgspec.Struct, array_like=True):
    """A `Track` without its cache."""

    id: str
    label: str
    start_us: int
    seen_us: int
    seq: int
    box: Box
    start: tuple[float, float]
    hits: int
    confirmed: bool
    score: float
    top_score: float
    still: tuple[float, float]
    still_us: int
    tolerance: float
    stationary: bool
    stationary_us: int
    distance: float
    entered: list[str] = []
    stays: dict[str, Stay] = {}
    crossings: dict[str, Crossing] = {}
    pace: Pace | None = None
    votes: Votes | None = None


class Snapshot(msgspec.Struct, omit_defaults=True):
    """What a camera needs to go on as if nothing had happened. Position, owner and scene have
    columns of their own."""

    v: int
    session: str = ""
    seq: int = 0
    status: Status = "offline"
    reason: str | None = "never_seen"
    scene_version: int = 0
    digests: dict[str, str] = {}
    stream_us: int = 0
    shift_us: int = 0
    capture_us: int = 0
    received_us: int = 0
    stepped_seq: int = 0
    gaps: int = 0
    missing: int = 0
    rejected: int = 0
    alert: str = "info"
    alert_until_us: int = 0
    last_event: LastEvent | None = None
    occupancy: dict[str, dict[str, int]] = {}
    counts: dict[str, Count] = {}
    tracks: list[TrackRow] = []
    faults: dict[str, int] = {}
    stepped_ahead_seq: int = 0
    alerts: list[AlertPoint] = []


class Totals(msgspec.Struct, frozen=True):
    """What a snapshot counts, for audits and reads: line → in/out, zone → label → objects
    inside."""

    status: Status
    counts: dict[str, dict[str, int]]
    occupancy: dict[str, dict[str, int]]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Snapshot)


def encode(snapshot: Snapshot) -> bytes:
    """The bytes for the row."""
    return _encoder.encode(snapshot)


def decode(data: bytes) -> Snapshot:
    """The snapshot of a row. Raises :class:`BadInput` when it cannot be read or is two versions
    newer."""
    try:
        found = _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise BadInput(
            f"the camera's snapshot cannot be read: {error}",
            hint="Restore the database or start the camera afresh.",
        ) from error
    if found.v > VERSION + 1:
        raise BadInput(
            f"the camera's snapshot has version {found.v}, this release reads up to {VERSION + 1}",
            hint="Upgrade this release first.",
        )
    return found


def totals(data: bytes | None) -> Totals:
    """Counts and occupancy of a row's snapshot; empty for a camera that never committed. Zones
    without objects are left out."""
    if data is None:
        return Totals("offline", {}, {})
    found = decode(data)
    counts = {key: {"in": count.ins, "out": count.outs} for key, count in found.counts.items()}
    return Totals(
        found.status, counts, {key: labels for key, labels in found.occupancy.items() if labels}
    )


def track_rows(picture: Picture) -> list[TrackRow]:
    """The open tracks, in their order."""
    return [
        TrackRow(
            t.id,
            t.label,
            t.start_us,
            t.seen_us,
            t.seq,
            t.box,
            t.start,
            t.hits,
            t.confirmed,
            t.score,
            t.top_score,
            t.still,
            t.still_us,
            t.tolerance,
            t.stationary,
            t.stationary_us,
            t.distance,
            t.entered,
            t.stays,
            t.crossings,
            t.pace,
            t.votes,
        )
        for t in picture.tracks.values()
    ]


def fill(picture: Picture, found: Snapshot) -> None:
    """Put tracks, occupancy and counts of a snapshot into a picture that was made for the same
    rules."""
    for row in found.tracks:
        fields: dict[str, Any] = {name: getattr(row, name) for name in TrackRow.__struct_fields__}
        picture.tracks[row.id] = Track(**fields)
    picture.occupancy |= found.occupancy
    picture.counts |= found.counts
    picture.faults = dict(found.faults)
    picture.loitering = sum(
        stay.loitering for track in picture.tracks.values() for stay in track.stays.values()
    )
