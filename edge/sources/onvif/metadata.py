"""ONVIF metadata, ``tt:MetadataStream``: frames of video analytics, and events (pure).

Coordinates are -1..1 with y up after the frame's and the object's ``Transformation``; many cameras
write 0..8191 with y down and no transformation instead, which is told by their size (video
reference 1.1). An object's id is its UUID where it has one. Frames of several profiles of one
device are one camera here.
"""

from typing import Any

from actors.core.boxes import Box
from actors.core.messages.observations import Object, Observation, Value
from edge.adapters.readings import (
    Reading,
    ReadMessage,
    RefusedInput,
    Rejection,
    gather,
    parse_time,
    score,
)
from edge.sources.bounded_xml import Element, parse
from edge.sources.onvif.properties import OnvifProperties, values
from edge.sources.paths import level
from edge.sources.receipts import Memory, Receipt

SCHEMA = "http://www.onvif.org/ver10/schema"
WIDE = 8191.0  # of cameras that do not keep to -1..1
BEYOND = 1.5  # a side beyond it is not of -1..1
UNCLASSIFIED = "object"
SPELLED = {"vehical": "vehicle"}  # as the schema itself once spelled it
MAX_FRAMES = 256  # of one document


class OnvifMetadata:
    """`topic_level`: which level of the topic names the camera, from 0; `camera` names it where
    there is no topic."""

    CANNOT_TELL: tuple[str, ...] = (
        "why an object went: its track is over when it is in no frame any more",
    )

    def __init__(self, memory: Memory, topic_level: int = 0, camera: str | None = None) -> None:
        self._level = topic_level
        self._camera = camera
        self._properties = OnvifProperties(memory)

    def read(self, receipt: Receipt) -> list[Reading]:
        """All frames and events of a document. Raises :class:`RefusedInput`."""
        root = parse(receipt.payload)
        if root.name != "MetadataStream" or root.space != SCHEMA:
            raise RefusedInput("not_read", f"{root.name[:40]!r} is no tt:MetadataStream")
        camera = self._camera or level(receipt.topic, self._level)
        readings: list[Reading] = []
        for frame in root.all("VideoAnalytics", "Frame")[:MAX_FRAMES]:
            readings.append(_reading(camera, frame))
        for notice in root.under("NotificationMessage")[:MAX_FRAMES]:
            readings += self.event(camera, notice)
        if not readings:
            raise RefusedInput("nothing_new", "neither a frame nor news of a property")
        return readings

    def event(self, camera: str, notice: Element) -> list[Reading]:
        """The alarm of one ``wsnt:NotificationMessage``; nothing where it says nothing new."""
        topic = notice.first("Topic")
        message = notice.first("Message", "Message")
        if topic is None or message is None:
            return [Rejection("malformed", "an event has no topic or no message", b"")]
        try:
            moment = parse_time(message.attributes.get("UtcTime"))
        except RefusedInput as refused:
            return [Rejection(refused.code, refused.detail, b"")]
        alarm = self._properties.alarm(
            topic.text.strip(),
            message.attributes.get("PropertyOperation", ""),
            values(_items(message, "Source") | _items(message, "Key")),
            values(_items(message, "Data")),
        )
        return [ReadMessage(camera, Observation(moment, alarm=alarm))] if alarm else []


def _reading(camera: str, frame: Element) -> Reading:
    try:
        moment = parse_time(frame.attributes.get("UtcTime"))
    except RefusedInput as refused:
        return Rejection(refused.code, refused.detail, b"")
    outer = frame.first("Transformation")
    objects, dropped = gather(frame.all("Object"), lambda found: _object(found, outer))
    return ReadMessage(camera, Observation(moment, objects), dropped)


def _object(found: Element, outer: Element | None) -> Object | None:
    look = found.first("Appearance")
    box = look.first("Shape", "BoundingBox") if look is not None else None
    if look is None or box is None:
        return None  # told of without a place: it is not in this picture
    kind, likelihood = _class(look)
    plate = look.first("LicensePlateInfo", "PlateNumber")
    attributes: dict[str, Value] = {}
    if plate is not None and plate.text.strip():
        attributes["license_plate"] = plate.text.strip()[:64]
    return Object(
        kind,
        _box(box, [one for one in (outer, look.first("Transformation")) if one is not None]),
        likelihood,
        found.attributes.get("UUID") or found.attributes.get("ObjectId"),
        None,
        attributes or None,
    )


def _class(look: Element) -> tuple[str, float | None]:
    """The likeliest class; a likelihood that is missing is 1."""
    best: tuple[str, float | None] = (UNCLASSIFIED, None)
    candidates = [(one.text, one.attributes.get("Likelihood")) for one in look.all("Class", "Type")]
    for old in look.all("Class", "ClassCandidate"):
        kind, likely = old.first("Type"), old.first("Likelihood")
        candidates.append((kind.text if kind else "", likely.text if likely else None))
    for text, said in candidates:
        word = text.strip().rpartition(":")[2].lower()[:64]
        likelihood = 1.0 if said is None else score(_number(said))
        if word and (best[1] is None or (likelihood or 0.0) > best[1]):
            best = (SPELLED.get(word, word), likelihood)
    return best


def _box(box: Element, transformations: list[Element]) -> Box:
    x1, y1, x2, y2 = (
        _number(box.attributes.get(side)) for side in ("left", "top", "right", "bottom")
    )
    if not transformations and max(abs(side) for side in (x1, y1, x2, y2)) > BEYOND:
        return x1 / WIDE, y1 / WIDE, x2 / WIDE, y2 / WIDE
    for one in transformations:
        scale, shift = one.first("Scale"), one.first("Translate")
        sx, sy = _pair(scale, 1.0)
        tx, ty = _pair(shift, 0.0)
        x1, x2 = x1 * sx + tx, x2 * sx + tx
        y1, y2 = y1 * sy + ty, y2 * sy + ty
    left, right = sorted(((x1 + 1) / 2, (x2 + 1) / 2))
    top, bottom = sorted(((1 - y1) / 2, (1 - y2) / 2))
    return left, top, right, bottom


def _pair(vector: Element | None, default: float) -> tuple[float, float]:
    if vector is None:
        return default, default
    return _number(vector.attributes.get("x")), _number(vector.attributes.get("y"))


def _number(text: str | None) -> float:
    try:
        return float(text or "")
    except ValueError as error:
        raise RefusedInput("malformed", f"{(text or '')[:40]!r} is no number") from error


def _items(message: Element, part: str) -> dict[str, Any]:
    return {
        item.attributes.get("Name", ""): item.attributes.get("Value", "")
        for item in message.all(part, "SimpleItem")
    }
