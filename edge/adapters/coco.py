"""COCO results: one array of detections, ``{"image_id", "category_id", "bbox": [left, top, width,
height], "score"}``, in pixels.

A detection may carry a ``track_id`` (as TAO's results do). Detections of one image are one frame,
whatever their order; its number is the image's, or the order of first appearance where images have
names. One message is one frame.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec

from actors.core.messages.observations import MAX_OBJECTS, Object, Observation
from edge.adapters.coco_classes import CATEGORIES
from edge.adapters.documents import documents
from edge.adapters.frame_order import MAX_ROWS, FrameOrder
from edge.adapters.readings import (
    AdapterOptions,
    DroppedObject,
    Reading,
    ReadMessage,
    RefusedInput,
    Rejection,
    frame_time,
    gather,
    number,
    object_label,
    pixel_box,
    score,
)

FRAME_SIZE = (1920, 1080)
FPS = 30.0
MAX_IMAGES = 5_000_000  # named images of one file, and the highest number of one


def read(lines: Iterable[bytes], options: AdapterOptions) -> Iterator[Reading]:
    """One reading per image, in order of images; one rejection per element that is no detection."""
    order, images = FrameOrder(), dict[str, int]()
    for found in documents(lines):
        if isinstance(found, Rejection):
            yield found
            continue
        try:
            if order.rows >= MAX_ROWS:
                raise RefusedInput("too_many", f"more than {MAX_ROWS} detections")
            order.add(_image(found.value, images), msgspec.json.encode(found.value))
        except RefusedInput as refused:
            yield Rejection(refused.code, refused.detail, found.raw[:1024])
    for index, rows in order.frames():
        try:
            yield _frame(index, rows, options)
        except RefusedInput as refused:
            yield Rejection(refused.code, refused.detail, str(index).encode())


def _image(value: dict[str, Any], images: dict[str, int]) -> int:
    if "annotations" in value and "images" in value:
        raise RefusedInput(
            "malformed", "this is a COCO ground-truth file; results are an array of detections"
        )
    image = value.get("image_id")
    if isinstance(image, str) and image.isascii() and image.isdigit() and len(image) <= 10:
        image = int(image)
    if isinstance(image, str) and 0 < len(image) <= 256:
        if len(images) >= MAX_IMAGES and image not in images:
            raise RefusedInput("too_many", f"more than {MAX_IMAGES} images")
        return images.setdefault(image, len(images))
    if not isinstance(image, int) or isinstance(image, bool) or not 0 <= image <= 2**31:
        raise RefusedInput("malformed", "a detection names its image_id")
    return image


def _frame(index: int, rows: Iterable[bytes], options: AdapterOptions) -> ReadMessage:
    size = options.frame_size or FRAME_SIZE
    kept = [msgspec.json.decode(row) for row in islice(rows, MAX_OBJECTS)]
    beyond = sum(1 for _ in rows)
    objects, dropped = gather(kept, lambda value: _object(value, size, options))
    dropped += [DroppedObject("too_many", f"more than {MAX_OBJECTS} objects in one frame")] * beyond
    return ReadMessage(
        options.camera, Observation(frame_time(index, options, FPS), objects), dropped
    )


def _object(value: dict[str, Any], size: tuple[int, int], options: AdapterOptions) -> Object:
    sides = value.get("bbox")
    if not isinstance(sides, list) or len(sides) != 4:
        raise RefusedInput("malformed", "a detection has a bbox of four numbers")
    left, top, width, height = (number(side, "bbox") for side in sides)
    category = value.get("category_id")
    known = CATEGORIES.get(category, "object") if isinstance(category, int) else "object"
    name = object_label(options, str(category), known)
    track = value.get("track_id")
    box = pixel_box(left, top, left + width, top + height, size)
    return Object(name, box, score(value.get("score")), track)
