"""The adapters by the name that `eyrie replay --format` takes."""

from actors.core.errors import BadInput
from edge.adapters import coco, deepstream, mot, ndjson, opendatacam
from edge.adapters.readings import Read

FORMATS: dict[str, Read] = {
    "coco": coco.read,
    "deepstream": deepstream.read,
    "mot": mot.read,
    "ndjson": ndjson.read,
    "opendatacam": opendatacam.read,
}


def adapter(name: str) -> Read:
    """The adapter called `name`. Raises :class:`BadInput`."""
    found = FORMATS.get(name)
    if found is None:
        raise BadInput(f"unknown format {name!r}", hint=f"Formats: {', '.join(FORMATS)}.")
    return found
