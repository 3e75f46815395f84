"""JSON of any form by a mapping file: which path is which field (pure, TOML).

    [camera]
    path = "device.name"        # or topic_level = 1, or fixed = "gate-1"

    [time]
    path = "ts"
    form = "s"                  # rfc3339 (the default), s, ms, us; without a path: when it came

    [objects]
    path = "detections"         # a list; "" when the message is one object
    id = "track"
    label = "class"             # or fixed_label = "car"
    score = "confidence"
    score_of = 100              # what a certain one has; 1 when left out
    box = ["x", "y", "w", "h"]
    form = "size"               # corners (the default), size (left, top, width, height), center
    frame_size = [1920, 1080]   # for boxes in pixels; left out, they are 0..1
    labels = { Human = "person" }
    attributes = { color = "appearance.color" }

    [alarm]                     # instead of objects, or beside them
    type = "vendor.intrusion"
    when = { path = "event", is = "intrusion" }
    severity = "critical"
    text = "message"
    data = { rule = "rule.name" }

A closed form: paths name fields, nothing is computed or executed.
"""

import tomllib
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from actors.core.boxes import Box
from actors.core.errors import BadInput
from actors.core.messages.observations import Alarm, Object, Observation, Value
from actors.core.severity import Severity
from actors.core.times import from_us
from edge.adapters.readings import (
    DroppedObject,
    Reading,
    ReadMessage,
    RefusedInput,
    gather,
    label,
    number,
    parse_time,
    pixel_box,
    score,
)
from edge.sources.paths import at, level
from edge.sources.receipts import Receipt

MAX_BYTES = 65_536
MAX_TEXT = 1_024
UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}

Path = Annotated[str, msgspec.Meta(max_length=256)]
Size = tuple[
    Annotated[int, msgspec.Meta(ge=1, le=65_536)], Annotated[int, msgspec.Meta(ge=1, le=65_536)]
]


class CameraPath(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Exactly one of them."""

    path: Path | None = None
    topic_level: Annotated[int, msgspec.Meta(ge=0, le=32)] | None = None
    fixed: Path | None = None


class TimePath(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the capture time is."""

    path: Path | None = None
    form: Literal["rfc3339", "s", "ms", "us"] = "rfc3339"


class ObjectPaths(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the objects are, and in each of them its fields."""

    box: tuple[Path, Path, Path, Path]
    path: Path = ""
    id: Path | None = None
    label: Path | None = None
    fixed_label: Path | None = None
    score: Path | None = None
    score_of: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    form: Literal["corners", "size", "center"] = "corners"
    frame_size: Size | None = None
    labels: dict[str, str] = {}
    attributes: Annotated[dict[str, Path], msgspec.Meta(max_length=32)] = {}


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"is_": "is"}):
    """Only where the value of `path` is that."""

    path: Path
    is_: str | int | float | bool


class AlarmPaths(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An alarm of a fixed type."""

    type: Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_.]{0,63}\Z")]
    when: When | None = None
    severity: Severity = "warning"
    text: Path | None = None
    data: Annotated[dict[str, Path], msgspec.Meta(max_length=32)] = {}


class JsonMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    camera: CameraPath
    time: TimePath = TimePath()
    objects: ObjectPaths | None = None
    alarm: AlarmPaths | None = None


def read_mapping(text: str) -> JsonMapping:
    """A mapping file. Raises :class:`BadInput`."""
    try:
        found = msgspec.convert(tomllib.loads(text[:MAX_BYTES]), JsonMapping)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadInput(f"this is no mapping file: {error}") from error
    camera = found.camera
    if sum(one is not None for one in (camera.path, camera.topic_level, camera.fixed)) != 1:
        raise BadInput("[camera] needs one of path, topic_level and fixed")
    if found.objects is None and found.alarm is None:
        raise BadInput("the mapping has neither [objects] nor [alarm]: nothing would come of it")
    if found.objects is not None and (found.objects.label is None) == (
        found.objects.fixed_label is None
    ):
        raise BadInput("[objects] needs one of label and fixed_label")
    return found


class JsonFrames:
    """Messages by a mapping."""

    CANNOT_TELL: tuple[str, ...] = ("what the mapping names no path for",)

    def __init__(self, mapping: JsonMapping) -> None:
        self._mapping = mapping

    def read(self, receipt: Receipt) -> list[Reading]:
        """One message. Raises :class:`RefusedInput`."""
        try:
            value = msgspec.json.decode(receipt.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RefusedInput("malformed", f"this is no JSON: {error}"[:200]) from error
        mapping = self._mapping
        objects: list[Object] | None = None
        dropped: list[DroppedObject] = []
        if mapping.objects is not None:
            paths = mapping.objects
            found = at(value, paths.path)
            items = found if isinstance(found, list) else [found]
            if found is None and mapping.alarm is None:
                raise RefusedInput("no_objects", f"nothing is at {paths.path!r}")
            if found is not None:
                objects, dropped = gather(items, lambda item: _object(item, paths))
        alarm = _alarm(value, mapping.alarm) if mapping.alarm is not None else None
        if objects is None and alarm is None:
            raise RefusedInput("not_read", "neither objects nor an alarm")
        camera = _camera(value, receipt.topic, mapping.camera)
        moment = _time(value, mapping.time, receipt.received_us)
        return [ReadMessage(camera, Observation(moment, objects, alarm), dropped)]


def _camera(value: Any, topic: str, paths: CameraPath) -> str:
    if paths.fixed is not None:
        return paths.fixed
    if paths.topic_level is not None:
        return level(topic, paths.topic_level)
    found = at(value, paths.path or "")
    if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
        raise RefusedInput("no_camera", f"no camera is at {paths.path!r}")
    return str(found)


def _time(value: Any, paths: TimePath, received_us: int) -> datetime:
    if paths.path is None:
        return from_us(received_us)
    found = at(value, paths.path)
    if paths.form == "rfc3339":
        return parse_time(found)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise RefusedInput("no_time", f"no number is at {paths.path!r}")
    try:
        return from_us(round(found * UNITS[paths.form]))
    except (OverflowError, ValueError) as error:
        raise RefusedInput("bad_time", f"{found!r} is no time") from error


def _object(item: Any, paths: ObjectPaths) -> Object:
    name = paths.fixed_label if paths.label is None else at(item, paths.label)
    if isinstance(name, str):
        name = paths.labels.get(name, name)
    certainty = score(at(item, paths.score)) if paths.score is not None else None
    attributes: dict[str, Value] = {
        ours: found
        for ours, path in paths.attributes.items()
        if isinstance(found := at(item, path), str | int | float | bool)
    }
    return Object(
        label(name, "the label"),
        _box([number(at(item, path), path) for path in paths.box], paths),
        certainty / paths.score_of if certainty is not None else None,
        at(item, paths.id) if paths.id is not None else None,
        None,
        attributes or None,
    )


def _box(sides: list[float], paths: ObjectPaths) -> Box:
    a, b, c, d = sides
    match paths.form:
        case "size":
            a, b, c, d = a, b, a + c, b + d
        case "center":
            a, b, c, d = a - c / 2, b - d / 2, a + c / 2, b + d / 2
    return pixel_box(a, b, c, d, paths.frame_size or (1, 1))


def _alarm(value: Any, paths: AlarmPaths) -> Alarm | None:
    if paths.when is not None and at(value, paths.when.path) != paths.when.is_:
        return None
    text = at(value, paths.text) if paths.text is not None else None
    data = {ours: at(value, path) for ours, path in paths.data.items()}
    return Alarm(
        paths.type,
        paths.severity,
        text=text[:MAX_TEXT] if isinstance(text, str) else None,
        data={ours: found for ours, found in data.items() if found is not None} or None,
    )
