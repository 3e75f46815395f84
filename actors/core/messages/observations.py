"""What the edge saw: observations, objects, alarms (design section 2).

These are wire structs: the same shapes in JSON and MessagePack. Boxes are ``[x1, y1, x2, y2]``,
0..1, origin top left; adapters convert everything else before it gets here. What becomes of a bad
object says `actors.core.messages.object_faults`.
"""

from datetime import datetime
from typing import Annotated, Any

import msgspec

from actors.core.boxes import Box
from actors.core.identifiers import Label

MAX_OBJECTS = 512  # objects in one observation
MAX_ATTRIBUTES = 32  # attributes of one object
MAX_REASONS = 16  # reasons of an edge for one frame

Unit = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Value = str | int | float | bool  # of an attribute
Reason = Annotated[str, msgspec.Meta(pattern=r"\A[a-z_]{1,32}\Z")]
Count = Annotated[int, msgspec.Meta(ge=1, le=2**31)]
CaptureTime = Annotated[
    datetime, msgspec.Meta(tz=True, description="capture time, RFC 3339 with offset")
]
Attributes = Annotated[dict[Label, Value], msgspec.Meta(max_length=MAX_ATTRIBUTES)]


class Object(msgspec.Struct, frozen=True, omit_defaults=True):
    """One box with label and score. `id` is the tracker's id: the same object over frames; None
    when the edge does not track.

    The box is as the edge saw it, and may leave the picture (`actors.core.boxes`).
    """

    label: Label
    box: Box
    score: Unit | None = None
    id: Label | None = None
    sub_label: Label | None = None
    attributes: Attributes | None = None


class Alarm(msgspec.Struct, frozen=True, omit_defaults=True):
    """A durable edge event. `type` becomes ``alarm.<type>``; it is stored and acked like every
    event and never shed."""

    type: Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_.]{0,63}\Z")]
    severity: Annotated[str, msgspec.Meta(pattern=r"\A(info|notice|warning|critical)\Z")] = (
        "warning"
    )
    label: Label | None = None
    track: Label | None = None
    text: Annotated[str, msgspec.Meta(max_length=1024)] | None = None
    data: Annotated[dict[str, Any], msgspec.Meta(max_length=64)] | None = None


class Backlog(msgspec.Struct, frozen=True):
    """What an edge holds of one camera and has not been acked: observations, and bytes of its
    spool."""

    items: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    bytes: Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Observation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the edge saw in one frame. `objects` is None when this is not a frame (an alarm alone),
    and empty when the frame was empty.

    `faults`: objects of this frame that the edge itself left out or changed, by reason
    (`actors.core.messages.object_faults`).
    """

    time: CaptureTime
    objects: Annotated[list[Object], msgspec.Meta(max_length=MAX_OBJECTS)] | None = None
    alarm: Alarm | None = None
    faults: Annotated[dict[Reason, Count], msgspec.Meta(max_length=MAX_REASONS)] | None = None
