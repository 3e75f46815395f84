"""MOT Challenge text: ``frame,id,left,top,width,height,conf,…``, frames and pixels counted from 1, rows of one frame anywhere in the file.

Ground truth has nine columns: the seventh is a flag (0: to be ignored), the eighth the class. Results and detections have ten: the
seventh is a score, the rest are -1; an id of -1 is none. One message is one frame.
"""

from collections.abc import Iterable, Iterator

from actors.core.observations import MAX_OBJECTS, Object, Observation
from edge.adapters.readings import Dropped, Options, Reading, Refused, Rejection, Seen, frame_time, gather, pixel_box, score

FRAME_SIZE = (1920, 1080)
FPS = 30.0
MAX_ROWS = 5_000_000  # rows held: they come sorted by track in ground truth
CLASSES = {
    1: "person", 2: "person", 3: "car", 4: "bicycle", 5: "motorcycle", 6: "vehicle", 7: "person", 8: "distractor", 9: "occluder",
    10: "occluder", 11: "occluder", 12: "reflection",
}  # fmt: skip
IGNORED = {"distractor", "occluder", "reflection"}

Row = tuple[float, ...]


def read(lines: Iterable[bytes], options: Options) -> Iterator[Reading]:
    """One reading per frame, in order of frames; one rejection per row that is none."""
    frames: dict[int, list[Row]] = {}
    rows = 0
    for line in lines:
        line = line.strip()
        if not line:
            continue
        rows += 1
        try:
            if rows > MAX_ROWS:
                raise Refused("too_many", f"more than {MAX_ROWS} rows")
            row = _row(line)
        except Refused as refused:
            yield Rejection(refused.code, refused.detail, line[:1024])
            continue
        frames.setdefault(int(row[0]), []).append(row)
    size = options.frame_size or FRAME_SIZE
    for index in sorted(frames):
        here = frames.pop(index)
        objects, dropped = gather(here[:MAX_OBJECTS], lambda row: _object(row, size))
        dropped += [Dropped("too_many", f"more than {MAX_OBJECTS} objects in one frame")] * max(len(here) - MAX_OBJECTS, 0)
        try:
            yield Seen(options.camera, Observation(frame_time(index - 1, options, FPS), objects), dropped)
        except Refused as refused:
            yield Rejection(refused.code, refused.detail, str(index).encode())


def _row(line: bytes) -> Row:
    try:
        row = tuple(float(field) for field in line.decode("ascii").replace(",", " ").split())
    except (ValueError, UnicodeDecodeError) as error:
        raise Refused("malformed", "a row holds numbers only") from error
    if len(row) < 6 or not 1 <= row[0] <= 2**31 or row[0] != int(row[0]):
        raise Refused("malformed", "a row begins with frame (from 1), id, left, top, width, height")
    return row


def _object(row: Row, size: tuple[int, int]) -> Object | None:
    _, track, left, top, width, height = row[:6]
    truth = len(row) == 9
    name = CLASSES.get(int(row[7]), "object") if truth else "person"
    if (truth and row[6] == 0) or name in IGNORED:
        return None
    x1, y1, x2, y2 = left - 1, top - 1, left - 1 + width, top - 1 + height
    if x1 < size[0] and y1 < size[1] and x2 > 0 and y2 > 0:
        # MOT boxes span the whole person, also what the picture cuts off: only their part inside it is ours.
        x1, y1, x2, y2 = max(x1, 0), max(y1, 0), min(x2, size[0]), min(y2, size[1])
    box = pixel_box(x1, y1, x2, y2, size)
    confidence = score(row[6]) if len(row) > 6 and not truth else None
    return Object(name, box, confidence, None if track < 0 else f"{track:.0f}")
