"""Frigate's MQTT payloads and its configuration, as far as they are read.

Facts: video reference 1.1 and 1.2, and Frigate's own page on MQTT. Times are Unix seconds of the
recorder's clock. Boxes are pixels of the camera's detect stream. What is not named here is skipped
unread.
"""

from typing import Any

import msgspec

from actors.core.boxes import Box
from actors.core.messages.observations import Object, Value
from edge.adapters.readings import RefusedInput, label, pixel_box, score

MAX_TEXT = 256  # characters of an attribute
MAX_ZONES = 16  # of Frigate's own zones in one attribute


class Tracked(msgspec.Struct):
    """One tracked object, as `events` carries it before and after."""

    id: str
    camera: str
    frame_time: float
    label: str
    box: Any = None
    score: Any = None
    top_score: Any = None
    sub_label: Any = None
    false_positive: bool | None = False
    start_time: float | None = None
    end_time: float | None = None
    current_zones: Any = None
    current_estimated_speed: Any = None
    recognized_license_plate: Any = None
    recognized_license_plate_score: Any = None


class TrackedEvent(msgspec.Struct):
    """``<prefix>/events``: `type` is new, update or end."""

    type: str
    after: Tracked


class ReviewData(msgspec.Struct):
    """What a review item is about."""

    detections: list[str] = []
    objects: list[str] = []
    zones: list[str] = []
    audio: list[str] = []


class ReviewItem(msgspec.Struct):
    """A review item: `severity` is alert or detection."""

    id: str
    camera: str
    severity: str
    start_time: float
    end_time: float | None = None
    data: ReviewData = msgspec.field(default_factory=ReviewData)


class Review(msgspec.Struct):
    """``<prefix>/reviews``."""

    type: str
    after: ReviewItem


class Update(msgspec.Struct):
    """``<prefix>/tracked_object_update``: what is found out later than the event. `camera` is
    missing with a description."""

    type: str
    id: str
    camera: str | None = None
    timestamp: float | None = None
    name: Any = None
    score: Any = None
    plate: Any = None
    model: Any = None
    attribute: Any = None
    sub_label: Any = None
    description: Any = None


class Detect(msgspec.Struct):
    """The stream that objects are found in, in pixels."""

    width: int | None = None
    height: int | None = None


class ZoneConfig(msgspec.Struct):
    """A zone: ``x1,y1,x2,y2,…`` as one text or a list, 0..1 or (before Frigate 0.14) pixels."""

    coordinates: str | list[str] = ""
    objects: str | list[str] | None = None


class CameraConfig(msgspec.Struct):
    """One camera of the configuration."""

    detect: Detect = msgspec.field(default_factory=Detect)
    zones: dict[str, ZoneConfig] = {}
    enabled: bool = True


class Ui(msgspec.Struct):
    """Of the user interface: the unit of speeds hangs on it."""

    unit_system: str = "metric"


class FrigateConfig(msgspec.Struct):
    """``/api/config``."""

    cameras: dict[str, CameraConfig] = {}
    ui: Ui = msgspec.field(default_factory=Ui)


METRES_PER_SECOND = {"metric": 1 / 3.6, "imperial": 0.44704}  # of km/h, of mph


def read_config(data: bytes) -> FrigateConfig:
    """The answer of ``/api/config``. Raises :class:`RefusedInput`."""
    try:
        return msgspec.json.decode(data, type=FrigateConfig)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RefusedInput("bad_config", f"this is no configuration of Frigate: {error}") from error


def seen_object(tracked: Tracked, size: tuple[int, int], metres_per_second: float | None) -> Object:
    """The object of an event. Raises :class:`RefusedInput` for a box that is none."""
    sub_label, sub_score = _named(tracked.sub_label)
    zones = tracked.current_zones
    speed = _number(tracked.current_estimated_speed)
    found: dict[str, Value | None] = {
        "sub_label_score": sub_score,
        "license_plate": text(tracked.recognized_license_plate),
        "license_plate_score": score(tracked.recognized_license_plate_score),
        "source_zones": ",".join(str(zone) for zone in zones[:MAX_ZONES])[:MAX_TEXT]
        if isinstance(zones, list) and zones
        else None,
        "estimated_speed_mps": round(speed * metres_per_second, 3)
        if speed and metres_per_second is not None
        else None,
    }
    if found["license_plate"] is None:
        found["license_plate_score"] = None
    return Object(
        label(tracked.label, "label"),
        _box(tracked.box, size),
        score(tracked.score),
        tracked.id,
        sub_label,
        {name: value for name, value in found.items() if value is not None} or None,
    )


def learned(update: Update) -> tuple[str | None, dict[str, Value]]:
    """(sub-label, attributes) that an update adds to its object."""
    found: dict[str, Value | None] = {}
    sub_label = None
    match update.type:
        case "face":
            sub_label = text(update.name)
            found["sub_label_score"] = score(update.score)
        case "lpr":
            sub_label = text(update.name)
            found["license_plate"] = text(update.plate)
            found["license_plate_score"] = score(update.score)
        case "classification":
            sub_label = text(update.sub_label)
            if (model := text(update.model)) is not None:
                found[model[:64]] = text(update.attribute)
        case "description":
            found["description"] = text(update.description)
        case _:
            raise RefusedInput("unknown_type", f"an update of type {update.type[:40]!r}")
    sub_label = sub_label[:64] if sub_label is not None else None
    return sub_label, {name: value for name, value in found.items() if value is not None}


def us_of(seconds: float) -> int:
    """Microseconds of a time of Frigate. Raises :class:`RefusedInput` for what is none."""
    if not 0.0 < seconds < 253_402_300_799.0:
        raise RefusedInput("bad_time", f"{seconds!r} is no time")
    return round(seconds * 1_000_000)


def text(value: Any) -> str | None:
    """A text of 1 to `MAX_TEXT` characters that can be shown, else None."""
    if not isinstance(value, str) or not value.strip() or "\x00" in value:
        return None
    return value[:MAX_TEXT]


def zone_points(
    coordinates: str | list[str], size: tuple[int, int] | None
) -> list[tuple[float, float]] | None:
    """The polygon of a zone, 0..1; None where it is none. Pixels are divided by `size`."""
    joined = coordinates if isinstance(coordinates, str) else ",".join(coordinates)
    try:
        numbers = [float(part) for part in joined.split(",")]
    except ValueError:
        return None
    if len(numbers) < 6 or len(numbers) % 2 or len(numbers) > 128:
        return None
    if max(numbers) > 1.0:
        if size is None:
            return None
        numbers = [value / size[at % 2] for at, value in enumerate(numbers)]
    points = [
        (round(min(max(x, 0.0), 1.0), 5), round(min(max(y, 0.0), 1.0), 5))
        for x, y in zip(numbers[::2], numbers[1::2], strict=True)
    ]
    return points


def _box(value: Any, size: tuple[int, int]) -> Box:
    if not isinstance(value, list) or len(value) != 4:
        raise RefusedInput("malformed", "the object has no box of four sides")
    sides = [_number(side) for side in value]
    if None in sides:
        raise RefusedInput("malformed", "a side of the box is no number")
    x1, y1, x2, y2 = (side or 0.0 for side in sides)
    return pixel_box(x1, y1, x2, y2, size)


def _named(value: Any) -> tuple[str | None, float | None]:
    """A sub-label: a text, or a list of a text and its score."""
    if isinstance(value, list) and value:
        named = text(value[0])
        rest = score(value[1]) if len(value) > 1 else None
        return (named[:64], rest) if named is not None else (None, None)
    named = text(value)
    return (named[:64] if named is not None else None), None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)
