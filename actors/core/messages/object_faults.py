"""What can be wrong with an object, and what becomes of it: it costs itself at most, never its
neighbours or its frame.

Every entrance uses these functions, so that a bad object fares the same by socket, by HTTP, from
the Python client and from a file. The reasons are few and fixed: they are keys of a camera's
`health`, of accounts, and labels of metrics.
"""

import re
from collections.abc import Iterable, Mapping
from math import inf, nan
from typing import Any, Final

import msgspec

from actors.core.boxes import BOX_NOT_FINITE, BOX_OUTSIDE, BOX_WITHOUT_AREA, CLIPPED, Box, fault
from actors.core.identifiers import LABEL_PATTERN
from actors.core.messages.observations import MAX_ATTRIBUTES, MAX_OBJECTS, Object, Value
from actors.core.untracked import is_untracked

MALFORMED: Final = "malformed"  # no object with a label and a box of four numbers
TOO_MANY: Final = "too_many"  # beyond `MAX_OBJECTS` of a frame
OTHER: Final = "other"  # left out by an edge, for a reason that is not of this list
REPEATED_ID: Final = "repeated_id"  # its id came before in this frame: shown without a track
BAD_ID: Final = (
    "bad_id"  # an id that is no text of 1 to 64 printable characters: shown without a track
)
TOO_MANY_TRACKS: Final = (
    "too_many_tracks"  # the camera follows as many as it can: shown without a track
)
BAD_SCORE: Final = "bad_score"  # a score outside 0..1: shown without one
BAD_ATTRIBUTES: Final = "bad_attributes"  # a sub-label or attribute that is none: shown without it
UNKNOWN_FIELD: Final = "unknown_field"  # observations with a field that nothing reads

LEFT_OUT: Final = frozenset(
    {BOX_OUTSIDE, BOX_WITHOUT_AREA, BOX_NOT_FINITE, MALFORMED, TOO_MANY, OTHER}
)
MENDED: Final = frozenset(
    {CLIPPED, REPEATED_ID, BAD_ID, TOO_MANY_TRACKS, BAD_SCORE, BAD_ATTRIBUTES, UNKNOWN_FIELD}
)

Faults = dict[str, int]  # objects by reason
MOST = 2**53 - 1  # counts stop here: beyond it JSON is not exact

_label = re.compile(LABEL_PATTERN)
_OBJECT_FIELDS = frozenset(Object.__struct_fields__)
NO_NUMBERS: Final = ("NaN", "Infinity", "-Infinity")  # what JSON cannot say, as its writers say it


def note(faults: Faults, reason: str, count: int = 1) -> None:
    """Count `reason`."""
    faults[reason] = min(faults.get(reason, 0) + count, MOST)


def add(faults: Faults, more: Mapping[str, int]) -> None:
    """Count all of `more`."""
    for reason, count in more.items():
        note(faults, reason, count)


def told(by_edge: Mapping[str, int], faults: Faults) -> None:
    """Count what an edge says that it left out or changed itself; reasons that are not of the list
    as `OTHER`."""
    for reason, count in by_edge.items():
        note(faults, reason if reason in LEFT_OUT or reason in MENDED else OTHER, count)


def since(before: Mapping[str, int], now: Mapping[str, int]) -> Faults:
    """What `now` counts beyond `before`."""
    return {
        reason: count - before.get(reason, 0)
        for reason, count in now.items()
        if count > before.get(reason, 0)
    }


def of(faults: Mapping[str, int], kind: frozenset[str]) -> Faults:
    """The part of `faults` that is of `kind` (`LEFT_OUT` or `MENDED`)."""
    return {reason: faults[reason] for reason in sorted(kind & faults.keys())} if faults else {}


def showing(objects: list[Object], faults: Faults) -> list[Object]:
    """The objects whose boxes show something of the picture."""
    kept = []
    for seen in objects:
        reason = fault(seen.box)
        if reason is not None:
            note(faults, reason)
        if reason is None or reason == CLIPPED:
            kept.append(seen)
    return kept


def repeated(objects: Iterable[Object]) -> int:
    """How many objects of a frame have the id of one before them, and so no track of their own."""
    ids = [seen.id for seen in objects if seen.id is not None and not is_untracked(seen.id)]
    return len(ids) - len(set(ids))


def read_loosely(values: list[Any], faults: Faults) -> list[Object]:
    """The objects of a frame of which at least one is not as it should be: each for itself, the
    first `MAX_OBJECTS`."""
    if len(values) > MAX_OBJECTS:
        note(faults, TOO_MANY, len(values) - MAX_OBJECTS)
    found = (_object(value, faults) for value in values[:MAX_OBJECTS])
    return [seen for seen in found if seen is not None]


def unknown_fields(values: Iterable[Any]) -> bool:
    """True when an object has a field that nothing reads."""
    return any(isinstance(value, dict) and not _OBJECT_FIELDS.issuperset(value) for value in values)


def _object(value: Any, faults: Faults) -> Object | None:
    """One object, without what is wrong with it; None when it cannot be shown. Its box may be none
    yet: see `showing`."""
    try:
        return msgspec.convert(value, Object)
    except msgspec.ValidationError:
        pass
    box = (
        _box(value.get("box"))
        if isinstance(value, dict) and _is_label(value.get("label"))
        else None
    )
    if box is None:
        note(faults, MALFORMED)
        return None
    return mended(
        Object(
            value["label"],
            box,
            *(value.get(name) for name in ("score", "id", "sub_label", "attributes")),
        ),
        faults,
    )


def mended(seen: Object, faults: Faults) -> Object:
    """An object with a label and a box without what else is wrong with it: structs are not checked
    when they are made."""
    score: Any = seen.score
    track: Any = seen.id
    sub_label: Any = seen.sub_label
    if score is not None and not _is_unit(score):
        note(faults, BAD_SCORE)
        score = None
    text = (
        str(track) if isinstance(track, str | int | float) and not isinstance(track, bool) else None
    )
    if text is not None and is_untracked(text):
        track = None
    elif isinstance(track, float) and track.is_integer():
        track = f"{track:.0f}"
    elif text is not None:
        track = text
    if track is not None and not _is_label(track):
        note(faults, BAD_ID)
        track = None
    attributes, bad = _attributes(seen.attributes)
    if sub_label is not None and not _is_label(sub_label):
        sub_label, bad = None, True
    if bad:
        note(faults, BAD_ATTRIBUTES)
    return Object(seen.label, seen.box, score, track, sub_label, attributes or None)


def _box(sides: Any) -> Box | None:
    """Four numbers, NaN for each that JSON had no number for; None when they are not."""
    if not isinstance(sides, list | tuple) or len(sides) != 4:
        return None
    found = [_side(side) for side in sides]
    x1, y1, x2, y2 = found
    return None if x1 is None or y1 is None or x2 is None or y2 is None else (x1, y1, x2, y2)


def _side(side: Any) -> float | None:
    if side is None or (isinstance(side, str) and side in NO_NUMBERS):
        return nan
    if isinstance(side, bool) or not isinstance(side, int | float):
        return None
    try:
        return float(side)
    except OverflowError:
        return inf


def _attributes(given: Any) -> tuple[dict[str, Value], bool]:
    """The attributes that are some, at most `MAX_ATTRIBUTES`, and whether there was anything
    else."""
    if not isinstance(given, dict):
        return {}, given is not None
    fitting = [
        (name, value)
        for name, value in given.items()
        if _is_label(name) and isinstance(value, str | int | float | bool)
    ]
    return dict(fitting[:MAX_ATTRIBUTES]), len(given) > min(len(fitting), MAX_ATTRIBUTES)


def _is_label(value: Any) -> bool:
    return isinstance(value, str) and _label.match(value) is not None


def _is_unit(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value <= 1.0
