"""OpenDataCam: frames of raw detections, ``{"frame": n, "detections": [{x, y, w, h, prob,
name}]}``, and exports of its tracker, ``{"frameId": n, "timestamp": "…", "objects": [{id, x, y, w,
h, bearing, confidence, name, areas}]}``; as lines or as one array.

`x` and `y` are the *centre* of the box in pixels; `prob` and `confidence` are in percent. Measured
on the project's own recording of 52,980 boxes: read as centres every box lies in a 1920x1080
picture (give or take 2 %), read as corners 3,795 stand out of it by more than 5 %. Raw detections
carry neither times nor ids; an export has both.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from actors.core.messages.observations import Object, Observation
from edge.adapters.documents import each_document
from edge.adapters.readings import (
    AdapterOptions,
    DroppedObject,
    Reading,
    ReadMessage,
    RefusedInput,
    frame_time,
    gather,
    label,
    number,
    parse_time,
    pixel_box,
    score,
)

FRAME_SIZE = (1920, 1080)
FPS = 30.0
MAX_DETECTIONS = 512


def read(lines: Iterable[bytes], options: AdapterOptions) -> Iterator[Reading]:
    """One reading per frame, in file order."""
    return each_document(lines, lambda value: frame(value, options))


def frame(value: Any, options: AdapterOptions) -> ReadMessage:
    """One decoded frame of either form. Raises :class:`RefusedInput`."""
    if not isinstance(value, dict):
        raise RefusedInput("malformed", "the frame is no JSON object")
    detections = value.get("detections", value.get("objects"))
    if not isinstance(detections, list):
        raise RefusedInput("malformed", "a frame has a list of detections or objects")
    moment = _moment(value, options)
    size = options.frame_size or FRAME_SIZE
    objects, dropped = gather(detections[:MAX_DETECTIONS], lambda item: _object(item, size))
    beyond = max(len(detections) - MAX_DETECTIONS, 0)
    dropped += [
        DroppedObject("too_many", f"more than {MAX_DETECTIONS} detections in one frame")
    ] * beyond
    return ReadMessage(options.camera, Observation(moment, objects), dropped)


def _moment(value: dict[str, Any], options: AdapterOptions) -> datetime:
    """The frame's own time where it has one, else that of its number. MongoDB's exports wrap a time
    in ``$date``."""
    own = value.get("timestamp")
    if isinstance(own, dict):
        own = own.get("$date")
    if isinstance(own, int | float) and not isinstance(own, bool):
        try:
            return datetime.fromtimestamp(own / 1000, UTC)
        except (OverflowError, ValueError, OSError) as error:
            raise RefusedInput("bad_time", f"{own} ms is no time") from error
    if own is not None:
        return parse_time(own)
    index = number(value.get("frame", value.get("frameId")), "frame")
    if index < 0:
        raise RefusedInput("malformed", "a frame has a number from 0")
    return frame_time(index, options, FPS)


def _object(value: Any, size: tuple[int, int]) -> Object:
    if not isinstance(value, dict):
        raise RefusedInput("malformed", "a detection is no JSON object")
    x, y, width, height = (number(value.get(name), name) for name in ("x", "y", "w", "h"))
    box = pixel_box(x - width / 2, y - height / 2, x + width / 2, y + height / 2, size)
    track = value.get("id")
    return Object(label(value.get("name"), "name"), box, _percent(value), track)


def _percent(value: dict[str, Any]) -> float | None:
    found = score(value.get("prob", value.get("confidence")))
    return None if found is None else found / 100.0
