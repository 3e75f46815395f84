"""OpenDataCam: raw detections, one frame a line, ``{"frame": n, "detections": [{x, y, w, h, prob, name}]}``. No times, no track ids.

`x` and `y` are the *centre* of the box in pixels and `prob` is in percent. Measured on the project's own recording of 52,980 boxes: read
as centres every box lies in a 1920x1080 picture (give or take 2 %), read as corners 3,795 stand out of it by more than 5 %. With an `id`
(the output of its tracker, written per frame) the object is tracked.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from actors.core.observations import Object, Observation
from edge.adapters.readings import Options, Reading, Refused, Seen, each, frame_time, gather, label, number, parse_json, pixel_box

FRAME_SIZE = (1920, 1080)
FPS = 30.0
MAX_DETECTIONS = 512


def read(lines: Iterable[bytes], options: Options) -> Iterator[Reading]:
    """One reading per frame, in file order."""
    return each(lines, lambda line: _frame(parse_json(line), options))


def _frame(value: Any, options: Options) -> Seen:
    if not isinstance(value, dict):
        raise Refused("malformed", "the frame is no JSON object")
    index = number(value.get("frame", value.get("frameId")), "frame")
    detections = value.get("detections", value.get("objects"))
    if not isinstance(detections, list) or index < 0:
        raise Refused("malformed", "a frame has a number and a list of detections")
    if len(detections) > MAX_DETECTIONS:
        raise Refused("too_many", f"{len(detections)} detections in one frame, more than {MAX_DETECTIONS}")
    size = options.frame_size or FRAME_SIZE
    objects, dropped = gather(detections, lambda item: _object(item, size))
    return Seen(options.camera, Observation(frame_time(index, options, FPS), objects), dropped)


def _object(value: Any, size: tuple[int, int]) -> Object:
    if not isinstance(value, dict):
        raise Refused("malformed", "a detection is no JSON object")
    x, y, width, height = (number(value.get(name), name) for name in ("x", "y", "w", "h"))
    box = pixel_box(x - width / 2, y - height / 2, x + width / 2, y + height / 2, size)
    percent = number(value["prob"], "prob") if "prob" in value else None
    track = value.get("id")
    return Object(
        label(value.get("name"), "name"), box, percent / 100.0 if percent is not None and 0 <= percent <= 100 else None,
        label(str(track), "id") if track is not None else None,
    )  # fmt: skip
