"""What the edge saw: observations, objects, alarms (design section 2).

These are wire structs: the same shapes in JSON and MessagePack. Boxes are ``[x1, y1, x2, y2]``, 0..1, origin top left; adapters
convert everything else before it gets here.
"""

from datetime import datetime
from typing import Annotated, Any

import msgspec

from actors.core.identifiers import Label

MAX_OBJECTS = 512  # objects in one observation
MAX_ATTRIBUTES = 32  # attributes of one object

Unit = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
# A detector may draw a little over the edge of the picture: the core clips to 0..1 (video reference 1.4).
Coordinate = Annotated[float, msgspec.Meta(ge=-0.05, le=1.05)]
CaptureTime = Annotated[datetime, msgspec.Meta(tz=True, description="capture time, RFC 3339 with offset")]
Attributes = Annotated[dict[Label, str | int | float | bool], msgspec.Meta(max_length=MAX_ATTRIBUTES)]


class Object(msgspec.Struct, frozen=True, omit_defaults=True):
    """One box with label and score. `id` is the tracker's id: the same object over frames; None when the edge does not track."""

    label: Label
    box: tuple[Coordinate, Coordinate, Coordinate, Coordinate]
    score: Unit | None = None
    id: Label | None = None
    sub_label: Label | None = None
    attributes: Attributes | None = None


class Alarm(msgspec.Struct, frozen=True, omit_defaults=True):
    """A durable edge event. `type` becomes ``alarm.<type>``; it is stored and acked like every event and never shed."""

    type: Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_.]{0,63}\Z")]
    severity: Annotated[str, msgspec.Meta(pattern=r"\A(info|notice|warning|critical)\Z")] = "warning"
    label: Label | None = None
    track: Label | None = None
    text: Annotated[str, msgspec.Meta(max_length=1024)] | None = None
    data: Annotated[dict[str, Any], msgspec.Meta(max_length=64)] | None = None


class Backlog(msgspec.Struct, frozen=True):
    """What an edge holds of one camera and has not been acked: observations, and bytes of its spool."""

    items: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    bytes: Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Observation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the edge saw in one frame. `objects` is None when this is not a frame (an alarm alone), and empty when the frame was empty."""

    time: CaptureTime
    objects: Annotated[list[Object], msgspec.Meta(max_length=MAX_OBJECTS)] | None = None
    alarm: Alarm | None = None
