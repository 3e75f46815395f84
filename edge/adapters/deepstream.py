"""DeepStream messages: the full schema (one object a message) and the minimal one (one frame a message), one JSON a line.

Facts from video reference 1.1 and `nv-schema.json`: boxes are in pixels of the stream multiplexer, and the message carries neither width
nor height, so the frame size must be given. The default is that of NVIDIA's garage recording, the dewarped 960x752 of its 360-degree
cameras (its boxes end at x 960 and y 751). The minimal schema is positional: ``id|left|top|right|bottom|label|#|…|confidence``; without
secondary classifiers there is no ``#`` and no confidence.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from actors.core.observations import Object, Observation
from edge.adapters.readings import (
    Options,
    Reading,
    Refused,
    Seen,
    each,
    gather,
    label,
    number,
    parse_json,
    parse_time,
    pixel_box,
    score,
)  # fmt: skip

FRAME_SIZE = (960, 752)
KINDS = ("vehicle", "person", "face", "bag", "bicycle", "roadsign")  # class sub-objects of the full schema
SIDES = ("topleftx", "toplefty", "bottomrightx", "bottomrighty")
UNKNOWN = {"", "UNKNOWN", "unknown"}


def read(lines: Iterable[bytes], options: Options) -> Iterator[Reading]:
    """One reading per line, in file order."""
    size = options.frame_size or FRAME_SIZE
    return each(lines, lambda line: message(parse_json(line), size))


def message(value: Any, size: tuple[int, int]) -> Seen:
    """One decoded message of either schema. Raises :class:`Refused`."""
    if not isinstance(value, dict):
        raise Refused("malformed", "the message is no JSON object")
    moment = parse_time(value.get("@timestamp"))
    if isinstance(value.get("objects"), list):
        source = _name(value.get("sensorId"), "sensorId")
        objects, dropped = gather(value["objects"], lambda text: _positional(text, size))
        return Seen(source, Observation(moment, objects), dropped)
    sensor = value.get("sensor")
    source = _name(sensor.get("id") if isinstance(sensor, dict) else None, "sensor.id")
    event = value.get("event")
    if isinstance(event, dict) and event.get("type") in ("empty", "reset"):
        return Seen(source, Observation(moment, []))  # the place is empty: nothing is seen there
    return Seen(source, Observation(moment, [_object(value.get("object"), size)]))


def _object(value: Any, size: tuple[int, int]) -> Object:
    if not isinstance(value, dict) or not isinstance(value.get("bbox"), dict):
        raise Refused("malformed", "the message has no object with a bbox")
    bbox = value["bbox"]
    left, top, right, bottom = (number(bbox.get(side), f"bbox.{side}") for side in SIDES)
    box = pixel_box(left, top, right, bottom, size)
    kind = next((kind for kind in KINDS if isinstance(value.get(kind), dict)), None)
    details = value[kind] if kind is not None else {}
    sub = details.get("type")
    attributes: dict[str, str | int | float | bool] = {
        ours: text
        for theirs, ours in (("make", "make"), ("model", "model"), ("color", "color"), ("license", "license_plate"))
        if isinstance(text := details.get(theirs), str) and text not in UNKNOWN and len(text) <= 256 and "\x00" not in text
    }
    return Object(
        label(kind or "object", "the class"), box, _confidence(details), _track(value.get("id")),
        label(sub, "type") if isinstance(sub, str) and sub not in UNKNOWN else None, attributes or None,
    )  # fmt: skip


def _confidence(details: dict[str, Any]) -> float | None:
    """The score; the recording writes 0.0 with every class unknown, which says that no classifier ran."""
    found = score(details.get("confidence"))
    return None if found == 0.0 and details.get("type") in UNKNOWN else found


def _positional(text: Any, size: tuple[int, int]) -> Object:
    if not isinstance(text, str):
        raise Refused("malformed", "an object of the minimal schema is a text")
    fields = text.split("|")
    if len(fields) < 6:
        raise Refused("malformed", f"{len(fields)} fields, id|left|top|right|bottom|label are needed")
    try:
        left, top, right, bottom = (float(field) for field in fields[1:5])
    except ValueError as error:
        raise Refused("malformed", f"a side of the box is no number: {text[:80]!r}") from error
    classified = "#" in fields[6:]
    return Object(
        label(fields[5], "the label"), pixel_box(left, top, right, bottom, size), _last_score(fields[-1]) if classified else None,
        _track(fields[0]),
    )  # fmt: skip


def _last_score(text: str) -> float | None:
    try:
        return score(float(text))
    except ValueError:
        return None


def _track(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None or value in ("", "-1"):
        return None
    return label(value, "the object's id")


def _name(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value or len(value) > 256:
        raise Refused("no_camera", f"the message has no {where}")
    return value
