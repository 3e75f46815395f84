"""What adapters yield, and the conversions that all of them need (video reference 1.4).

An adapter is a function ``read(lines, options) -> Iterator[Reading]``: every message of the source
becomes one :class:`ReadMessage` or one :class:`Rejection`, so that all of them can be accounted
for. One bad object of a frame is left out and reported with its frame.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from math import nan
from typing import Any

import msgspec

from actors.core.boxes import CLIPPED, Box, fault
from actors.core.identifiers import LABEL_PATTERN, is_id
from actors.core.messages.object_faults import NO_NUMBERS, TOO_MANY, Faults, mended
from actors.core.messages.observations import MAX_OBJECTS, Object, Observation
from actors.core.times import from_us

MAX_LINE_BYTES = 1_048_576  # a longer line is rejected unread
DEFAULT_START = datetime(
    2026, 1, 1, tzinfo=UTC
)  # of recordings that carry no time: fixed, so that a second replay says the same

_label = re.compile(LABEL_PATTERN)


class AdapterOptions(msgspec.Struct, frozen=True):
    """How to read. `frame_size` (width, height in pixels) and `fps` are the adapter's defaults when
    None; `start` is frame 0's time."""

    frame_size: tuple[int, int] | None = None
    fps: float | None = None
    camera: str = "replay"
    start: datetime = DEFAULT_START
    labels: dict[str, str] = {}  # by the source's class number; "" names every object
    pass_unknown_fields: bool = False


class DroppedObject(msgspec.Struct, frozen=True):
    """One object left out of its frame, or changed: `code` is of
    `actors.core.messages.object_faults`, or ``ignored`` (nothing was wrong)."""

    code: str
    detail: str


class ReadMessage(msgspec.Struct, frozen=True):
    """One message. `source` is the camera as the source names it; `remarks` are worth telling and
    cost nothing.

    A `part` is one of several messages of a frame: those of one camera and time belong together.
    """

    source: str
    observation: Observation
    dropped: list[DroppedObject] = []
    remarks: list[str] = []
    part: bool = False


class Rejection(msgspec.Struct, frozen=True):
    """A message that gives no observation: `code` is one word to count by, `raw` what came."""

    code: str
    detail: str
    raw: bytes
    source: str = ""
    fields: list[str] = []  # unknown fields, where those are the reason


Reading = ReadMessage | Rejection
Read = Callable[[Iterable[bytes], AdapterOptions], Iterator[Reading]]


class RefusedInput(Exception):
    """Inside an adapter: this message or object cannot be used."""

    def __init__(self, code: str, detail: str, fields: list[str] | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.fields = fields or []


def camera_id(source: str) -> str:
    """A valid camera id for a name of the source: itself when it is one, else its letters and eight
    hex digits of its SHA-256.

    Deterministic, and an id stays itself. Two names of one recording that still meet (one spelled
    like the other's id) are told apart by `edge.replay`, which refuses the second.
    """
    if is_id(source):
        return source
    digest = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    letters = re.sub(r"[^a-z0-9_-]+", "-", source.lower()).strip("-_")[:55]
    return f"{letters or 'camera'}-{digest}"


def pixel_box(x1: float, y1: float, x2: float, y2: float, size: tuple[int, int]) -> Box:
    """Pixels to 0..1. What sticks out of the picture stays; raises :class:`RefusedInput` for a box
    that shows nothing of it."""
    width, height = size
    box = (x1 / width, y1 / height, x2 / width, y2 / height)
    reason = fault(box)
    if reason is not None and reason != CLIPPED:
        raise RefusedInput(
            reason,
            f"the box {_show(box)} shows nothing of a frame of {width}x{height}; is --frame-size "
            "right?",
        )
    return box


def number(value: object, name: str) -> float:
    """A number, NaN where JSON had a word for one. Raises :class:`RefusedInput`."""
    if value in NO_NUMBERS:
        return nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RefusedInput("malformed", f"{name} is no number")
    try:
        return float(value)
    except OverflowError as error:
        raise RefusedInput("malformed", f"{name} is too large") from error


def label(value: object, name: str) -> str:
    """A printable label of 1 to 64 characters. Raises :class:`RefusedInput`."""
    if not isinstance(value, str) or not _label.match(value):
        raise RefusedInput("malformed", f"{name} is no label of 1 to 64 printable characters")
    return value


def object_label(options: AdapterOptions, number: str | None, default: str) -> str:
    """What an object of class `number` is called: as `options` say, else `default`."""
    return options.labels.get(number or "", options.labels.get("", default))


def score(value: Any) -> float | None:
    """A score, or None for what says that there is none: nothing, text, or a negative number.
    `gather` takes others out of 0..1 away."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0.0:
        return nan if value in NO_NUMBERS else None
    return float(value)


def parse_time(value: object) -> datetime:
    """An RFC 3339 time with an offset, as UTC. Raises :class:`RefusedInput`."""
    if not isinstance(value, str):
        raise RefusedInput("no_time", "the message has no time")
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError("no offset")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise RefusedInput(
            "bad_time", f"{value[:64]!r} is no RFC 3339 time with an offset"
        ) from error


def frame_time(index: float, options: AdapterOptions, default_fps: float) -> datetime:
    """The time of frame `index` (from 0) of a recording that carries none. Raises
    :class:`RefusedInput` beyond the calendar."""
    fps = options.fps if options.fps is not None else default_fps
    try:
        offset_us = round(index * 1_000_000 / fps)
        return from_us(round(options.start.timestamp() * 1_000_000) + offset_us)
    except (OverflowError, ValueError) as error:
        raise RefusedInput("bad_time", f"frame {index} has no time") from error


def gather(
    items: Iterable[Any], build: Callable[[Any], Object | None]
) -> tuple[list[Object], list[DroppedObject]]:
    """The objects of a frame, and what was wrong. `build` returns None for what is no object at
    all.

    It may put the source's own id and score into an object: what is none of ours is taken away
    here, by the rule for every entrance.
    """
    objects: list[Object] = []
    dropped: list[DroppedObject] = []
    faults: Faults = {}
    for item in items:
        if len(objects) >= MAX_OBJECTS:
            dropped.append(DroppedObject(TOO_MANY, f"more than {MAX_OBJECTS} objects in one frame"))
            continue
        try:
            found = build(item)
        except RefusedInput as refused:
            dropped.append(DroppedObject(refused.code, refused.detail))
            continue
        if found is not None:
            objects.append(mended(found, faults))
    dropped += [DroppedObject(reason, "") for reason, count in faults.items() for _ in range(count)]
    return objects, dropped


def whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes | Rejection]:
    """The lines that are not blank, stripped; a rejection for each that is too long, which comes in
    several pieces."""
    inside = False
    for piece in pieces:
        continued, inside = inside, len(piece) > MAX_LINE_BYTES and not piece.endswith(b"\n")
        if continued:
            inside = not piece.endswith(b"\n")
        elif len(line := piece.strip()) > MAX_LINE_BYTES:
            yield Rejection("too_long", f"a line of more than {MAX_LINE_BYTES} bytes", line[:1024])
        elif line:
            yield line


def each(pieces: Iterable[bytes], build: Callable[[bytes], ReadMessage]) -> Iterator[Reading]:
    """One reading per line that is not blank."""
    for line in whole_lines(pieces):
        if isinstance(line, Rejection):
            yield line
            continue
        try:
            yield build(line)
        except RefusedInput as refused:
            yield Rejection(
                refused.code, refused.detail, line[:MAX_LINE_BYTES], fields=refused.fields
            )


def _show(box: Box) -> str:
    return "[" + ", ".join(f"{side:.3f}" for side in box) + "]"
