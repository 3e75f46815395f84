"""Our own shape, one observation a line: ``{"camera"?, "time", "objects"?, "alarm"?}`` (`actors.core.observations.Observation`)."""

from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec

from actors.core.observations import Object, Observation
from edge.adapters.readings import MAX_LINE_BYTES, Options, Reading, Refused, Seen, each, unit_box


class Line(Observation, frozen=True, omit_defaults=True):
    """An observation that may name its camera."""

    camera: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | None = None


_decoder = msgspec.json.Decoder(Line)


def read(lines: Iterable[bytes], options: Options) -> Iterator[Reading]:
    """One reading per line, in file order; lines without a camera are of `options.camera`."""
    return each(lines, lambda line: _line(line, options))


def _line(line: bytes, options: Options) -> Seen:
    if len(line) > MAX_LINE_BYTES:
        raise Refused("too_long", f"a line of {len(line)} bytes, more than {MAX_LINE_BYTES}")
    try:
        found = _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("malformed", str(error)) from error
    objects: list[Object] = found.objects or []
    for item in objects:
        unit_box(*item.box)
    return Seen(found.camera or options.camera, Observation(found.time, found.objects, found.alarm))
