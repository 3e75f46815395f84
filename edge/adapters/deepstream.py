"""DeepStream messages: the full schema (one object a message) and the minimal one (one frame a
message); one JSON a line, or indented.

Messages of the full schema with one sensor and one timestamp are one frame: `edge.replay` puts them
together after sorting. Its class is the key of a sub-object: six fixed names in the old API, the
detector's own label in the new one (`dsmeta_payload.cpp`).

Facts from video reference 1.1 and `nv-schema.json`: boxes are in pixels of the stream multiplexer,
and the message carries neither width nor height, so the frame size must be given. The default is
that of NVIDIA's garage recording, the dewarped 960x752 of its 360-degree cameras (its boxes end at
x 960 and y 751). The minimal schema is positional:
``id|left|top|right|bottom|label|#|…|confidence``; without secondary classifiers there is no ``#``
and no confidence, and some builds append ``pose2D|…``. What its further columns mean depends on a
kind of object that the message does not name: they are not read, but named in the account and
counted, also in the camera's `health`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from actors.core.messages.object_faults import UNKNOWN_FIELD
from actors.core.messages.observations import Object, Observation
from edge.adapters.documents import each_document
from edge.adapters.readings import (
    AdapterOptions,
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

FRAME_SIZE = (960, 752)
KINDS = (
    "vehicle",
    "person",
    "face",
    "bag",
    "bicycle",
    "roadsign",
)  # class sub-objects of the full schema
SIDES = ("topleftx", "toplefty", "bottomrightx", "bottomrighty")
NOT_CLASSES = {
    "bbox",
    "location",
    "coordinate",
    "pose",
    "embedding",
    "maskoutline",
    "signature",
    "segmentation",
    "trajectory",
}
UNKNOWN = {"", "UNKNOWN", "unknown"}
POSE = "pose2D"


def read(lines: Iterable[bytes], options: AdapterOptions) -> Iterator[Reading]:
    """One reading per message, in file order."""
    size = options.frame_size or FRAME_SIZE
    return each_document(lines, lambda value: message(value, size))


def message(value: Any, size: tuple[int, int]) -> ReadMessage:
    """One decoded message of either schema. Raises :class:`RefusedInput`."""
    if not isinstance(value, dict):
        raise RefusedInput("malformed", "the message is no JSON object")
    moment = parse_time(value.get("@timestamp"))
    if isinstance(value.get("objects"), list):
        source = _name(value.get("sensorId"), "sensorId")
        unread: list[str] = []
        objects, dropped = gather(value["objects"], lambda text: _positional(text, size, unread))
        if unread:
            dropped.append(DroppedObject(UNKNOWN_FIELD, ", ".join(sorted(set(unread)))))
        return ReadMessage(
            source,
            Observation(moment, objects),
            dropped,
            [f"{name} of the minimal schema were not read" for name in unread],
        )
    sensor = value.get("sensor")
    source = _name(sensor.get("id") if isinstance(sensor, dict) else None, "sensor.id")
    event = value.get("event")
    if isinstance(event, dict) and event.get("type") in ("empty", "reset"):
        return ReadMessage(
            source, Observation(moment, []), part=True
        )  # the place is empty: nothing is seen there
    objects, dropped = gather([value.get("object")], lambda found: _object(found, size))
    if dropped and dropped[0].code == "malformed":
        raise RefusedInput(dropped[0].code, dropped[0].detail)
    return ReadMessage(source, Observation(moment, objects), dropped, part=True)


def _object(value: Any, size: tuple[int, int]) -> Object:
    if not isinstance(value, dict) or not isinstance(value.get("bbox"), dict):
        raise RefusedInput("malformed", "the message has no object with a bbox")
    bbox = value["bbox"]
    left, top, right, bottom = (number(bbox.get(side), f"bbox.{side}") for side in SIDES)
    box = pixel_box(left, top, right, bottom, size)
    kind = _kind(value)
    details = value[kind] if kind is not None else {}
    sub = details.get("type")
    attributes: dict[str, str | int | float | bool] = {
        ours: text
        for theirs, ours in (
            ("make", "make"),
            ("model", "model"),
            ("color", "color"),
            ("license", "license_plate"),
        )
        if isinstance(text := details.get(theirs), str)
        and text not in UNKNOWN
        and len(text) <= 256
        and "\x00" not in text
    }
    return Object(
        label(kind or "object", "the class"),
        box,
        _confidence(details),
        value.get("id"),
        sub if isinstance(sub, str) and sub not in UNKNOWN else None,
        attributes or None,
    )


def _kind(value: dict[str, Any]) -> str | None:
    """The key of the object's class: a known one, else one whose value has a confidence, else any
    that is nothing else."""
    known = next((kind for kind in KINDS if isinstance(value.get(kind), dict)), None)
    if known is not None:
        return known
    others = [
        key for key, found in value.items() if isinstance(found, dict) and key not in NOT_CLASSES
    ]
    return next(
        (key for key in others if "confidence" in value[key]), others[0] if others else None
    )


def _confidence(details: dict[str, Any]) -> float | None:
    """The score; the recording writes 0.0 with every class unknown, which says that no classifier
    ran."""
    found = score(details.get("confidence"))
    return None if found == 0.0 and details.get("type") in UNKNOWN else found


def _positional(text: Any, size: tuple[int, int], unread: list[str]) -> Object:
    """One object; `unread` gets the names of its columns that nothing reads."""
    if not isinstance(text, str):
        raise RefusedInput("malformed", "an object of the minimal schema is a text")
    fields = text.split("|")
    if len(fields) < 6:
        raise RefusedInput(
            "malformed", f"{len(fields)} fields, id|left|top|right|bottom|label are needed"
        )
    try:
        left, top, right, bottom = (float(field) for field in fields[1:5])
    except ValueError as error:
        raise RefusedInput("malformed", f"a side of the box is no number: {text[:80]!r}") from error
    confidence, more = _further(fields[6:])
    found = Object(
        label(fields[5], "the label"),
        pixel_box(left, top, right, bottom, size),
        confidence,
        fields[0],
    )
    unread += more
    return found


def _further(columns: list[str]) -> tuple[float | None, list[str]]:
    """(the score, which columns after the label nothing reads)."""
    unread = []
    if POSE in columns:
        unread.append(f"columns from {POSE} on")
        columns = columns[: columns.index(POSE)]
    at = columns.index("#") if "#" in columns else len(columns)
    if any(column not in UNKNOWN for column in columns[:at]):
        unread.append("columns between label and #")
    *attributes, last = columns[at + 1 :] or [""]
    if any(column not in UNKNOWN for column in attributes):
        unread.append("columns of secondary classifiers")
    confidence = _last_score(last)
    if confidence is None and last not in UNKNOWN:
        unread.append("confidences that are no numbers")
    return confidence, unread


def _last_score(text: str) -> float | None:
    try:
        return score(float(text))
    except ValueError:
        return None


def _name(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value or len(value) > 256:
        raise RefusedInput("no_camera", f"the message has no {where}")
    return value
