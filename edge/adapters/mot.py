"""MOT Challenge text: ``frame,id,left,top,width,height,…``, frames and pixels counted from 1, rows
of one frame anywhere in the file.

Commas or spaces. What follows the box depends on who wrote it, and is decided by the whole file:

- ground truth (MOT16, 17, 20): nine columns, a flag 0 or 1 (0: not to be counted), a class 1 to 13,
  a visibility 0 to 1, in every row;
- results and detections: a score, then a class (boxmot: counted from 0, as its detector does) or
  -1, then -1. ByteTrack and MOT15 write ten columns, boxmot nine; some write six or seven.

Scores are 0..1 or percent; a file whose scores are all whole numbers and some of them 0 cut its
fractions off: it has no scores. Without `AdapterOptions.labels` every object of a result is a
person, which is what the benchmark tracks. One message is one frame.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from actors.core.messages.observations import MAX_OBJECTS, Object, Observation
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
    object_label,
    pixel_box,
    score,
    whole_lines,
)

FRAME_SIZE = (1920, 1080)
FPS = 30.0
COLUMNS = 10  # columns beyond are not read, and counted
CLASSES = {
    1: "person",
    2: "person",
    3: "car",
    4: "bicycle",
    5: "motorcycle",
    6: "vehicle",
    7: "person",
    8: "distractor",
    9: "occluder",
    10: "occluder",
    11: "occluder",
    12: "reflection",
    13: "crowd",
}
IGNORED = {"distractor", "occluder", "reflection", "crowd"}
SCORE, CLASS, VISIBILITY = 6, 7, 8  # columns, from 0

Row = tuple[float, ...]


class Dialect(msgspec.Struct):
    """What the rows read so far may be."""

    truth: bool = True  # so far no row contradicts
    rows: int = 0
    whole_scores: bool = True
    zero_score: bool = False
    highest_score: float = 0.0

    def see(self, row: Row) -> None:
        """Take one row into account."""
        self.rows += 1
        self.truth = self.truth and _is_truth(row)
        if len(row) > SCORE and row[SCORE] >= 0:
            self.whole_scores = self.whole_scores and row[SCORE].is_integer()
            self.zero_score = self.zero_score or row[SCORE] == 0
            self.highest_score = max(self.highest_score, row[SCORE])

    def score(self, row: Row) -> float | None:
        """The score of a row of results, 0..1."""
        if len(row) <= SCORE or (self.whole_scores and self.zero_score and self.highest_score <= 1):
            return None
        return score(row[SCORE] / 100 if 1 < self.highest_score <= 100 else row[SCORE])


def read(lines: Iterable[bytes], options: AdapterOptions) -> Iterator[Reading]:
    """One reading per frame, in order of frames; one rejection per row that is none."""
    order, dialect = FrameOrder(), Dialect()
    for line in whole_lines(lines):
        if isinstance(line, Rejection):
            yield line
            continue
        try:
            if order.rows >= MAX_ROWS:
                raise RefusedInput("too_many", f"more than {MAX_ROWS} rows")
            row = _row(line)
        except RefusedInput as refused:
            yield Rejection(refused.code, refused.detail, line[:1024])
            continue
        dialect.see(row)
        order.add(int(row[0]), line)
    for index, rows in order.frames():
        try:
            yield _frame(index, rows, dialect, options)
        except RefusedInput as refused:
            yield Rejection(refused.code, refused.detail, str(index).encode())


def _frame(
    index: int, lines: Iterable[bytes], dialect: Dialect, options: AdapterOptions
) -> ReadMessage:
    rows = [_row(line) for line in islice(lines, MAX_OBJECTS)]
    beyond = sum(1 for _ in lines)
    size = options.frame_size or FRAME_SIZE
    objects, dropped = gather(rows, lambda row: _object(row, dialect, size, options))
    dropped += [DroppedObject("too_many", f"more than {MAX_OBJECTS} objects in one frame")] * beyond
    remarks = [remark for row in rows for remark in _remarks(row, dialect, options)]
    return ReadMessage(
        options.camera, Observation(frame_time(index - 1, options, FPS), objects), dropped, remarks
    )


def _row(line: bytes) -> Row:
    try:
        row = tuple(float(field) for field in line.decode("ascii").replace(",", " ").split())
    except (ValueError, UnicodeDecodeError) as error:
        raise RefusedInput("malformed", "a row holds numbers only") from error
    if len(row) < 6 or not 1 <= row[0] <= 2**31 or row[0] != int(row[0]):
        raise RefusedInput(
            "malformed", "a row begins with frame (from 1), id, left, top, width, height"
        )
    return row


def _is_truth(row: Row) -> bool:
    return (
        len(row) == 9
        and row[SCORE] in (0, 1)
        and row[CLASS] in CLASSES
        and 0 <= row[VISIBILITY] <= 1
    )


def _object(row: Row, dialect: Dialect, size: tuple[int, int], options: AdapterOptions) -> Object:
    _, track, left, top, width, height = row[:6]
    if dialect.truth:
        name = CLASSES[int(row[CLASS])]
        if row[SCORE] == 0 or name in IGNORED:
            raise RefusedInput("ignored", "ground truth marks it as not to be counted")
        name = object_label(options, str(int(row[CLASS])), name)
    else:
        name = object_label(options, _class(row), "person")
    x1, y1, x2, y2 = left - 1, top - 1, left - 1 + width, top - 1 + height
    box = pixel_box(x1, y1, x2, y2, size)
    return Object(name, box, None if dialect.truth else dialect.score(row), f"{track:.0f}")


def _class(row: Row) -> str | None:
    """The class column of a result, None when it holds none."""
    return (
        f"{row[CLASS]:.0f}"
        if len(row) > CLASS and row[CLASS] >= 0 and row[CLASS].is_integer()
        else None
    )


def _remarks(row: Row, dialect: Dialect, options: AdapterOptions) -> Iterator[str]:
    if len(row) > COLUMNS:
        yield f"columns after {COLUMNS} were not read"
    if (
        not dialect.truth
        and (number := _class(row)) is not None
        and object_label(options, number, "") == ""
    ):
        yield f"class {number} was taken for a person (--label {number}=NAME, or --classes coco)"
