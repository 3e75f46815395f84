"""Our own shape, one observation a line: ``{"camera"?, "time", "objects"?, "alarm"?}``
(`actors.core.messages.observations.Observation`).

A wire passes over fields that it does not know, so that edges may be newer than hubs. A file is
held to be right: a field that nothing reads (``track`` for ``id``) refuses its line, unless
`AdapterOptions.pass_unknown_fields` lets it through, counted.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import msgspec

from actors.core.boxes import CLIPPED
from actors.core.camera.decoding import Unusable, decode, without_constants
from actors.core.messages.object_faults import UNKNOWN_FIELD
from actors.core.messages.observations import Alarm, Object, Observation
from edge.adapters.readings import (
    AdapterOptions,
    DroppedObject,
    Reading,
    ReadMessage,
    RefusedInput,
    each,
)

MAX_NAMED = 16  # unknown fields named of one line


class _Named(msgspec.Struct, frozen=True):
    camera: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | None = None


_OBSERVATION_FIELDS, _OBJECT_FIELDS, _ALARM_FIELDS = (
    frozenset(shape.__struct_fields__) for shape in (Observation, Object, Alarm)
)
_LINE_FIELDS = _OBSERVATION_FIELDS | {"camera"}


def read(lines: Iterable[bytes], options: AdapterOptions) -> Iterator[Reading]:
    """One reading per line, in file order; lines without a camera are of `options.camera`."""
    return each(lines, lambda line: _line(line, options))


def _line(line: bytes, options: AdapterOptions) -> ReadMessage:
    try:
        value = _plain(line)
        unknown = unknown_fields(value)
        if unknown and not options.pass_unknown_fields:
            raise RefusedInput(
                "unknown_field", f"nothing reads {', '.join(map(repr, unknown))}", unknown
            )
        camera = msgspec.convert(value, _Named).camera
        found, faults = decode(line, "json")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RefusedInput("malformed", str(error)) from error
    except Unusable as unusable:
        raise RefusedInput("malformed", unusable.detail) from unusable
    told = {
        reason: count for reason, count in faults.items() if reason not in (CLIPPED, UNKNOWN_FIELD)
    }
    dropped = [DroppedObject(reason, "") for reason, count in told.items() for _ in range(count)]
    if unknown:
        dropped.append(DroppedObject(UNKNOWN_FIELD, ", ".join(unknown)))
    remarks = [f"field {name!r} was not read" for name in unknown]
    return ReadMessage(
        camera or options.camera,
        Observation(found.time, found.objects, found.alarm),
        dropped,
        remarks,
    )


def _plain(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except msgspec.DecodeError:
        return msgspec.json.decode(without_constants(line))


def unknown_fields(value: Any) -> list[str]:
    """The fields of a decoded line that nothing reads, as paths, each once, at most `MAX_NAMED`."""
    if not isinstance(value, dict):
        return []
    found = dict.fromkeys(key for key in value if key not in _LINE_FIELDS)
    objects = value.get("objects")
    for item in objects if isinstance(objects, list) else []:
        if isinstance(item, dict) and not _OBJECT_FIELDS.issuperset(item):
            found.update(
                dict.fromkeys(f"objects[].{key}" for key in item if key not in _OBJECT_FIELDS)
            )
    alarm = value.get("alarm")
    if isinstance(alarm, dict):
        found.update(dict.fromkeys(f"alarm.{key}" for key in alarm if key not in _ALARM_FIELDS))
    return [name[:80] for name in found][:MAX_NAMED]
