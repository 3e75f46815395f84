"""Which cameras a recording names, looked at before anything is sent."""

from itertools import islice

import msgspec

from actors.core.errors import BadInput
from edge.adapters.formats import adapter
from edge.adapters.readings import MAX_LINE_BYTES, Rejection, camera_id
from edge.replay import MAX_CAMERAS, ReplayOptions, adapter_options

MOST_READINGS = 500_000  # looked at


class NamedCameras(msgspec.Struct, frozen=True):
    """Their ids. `all`: the whole recording was looked at."""

    cameras: frozenset[str]
    all: bool = True


def named_cameras(options: ReplayOptions) -> NamedCameras:
    """Those of the recording that a replay with these options would send. Raises BadInput for a
    file that cannot be read."""
    found: set[str] = set()
    count = 0
    try:
        with open(options.path, "rb") as file:
            lines = iter(lambda: file.readline(MAX_LINE_BYTES + 2), b"")
            for reading in islice(
                adapter(options.format)(lines, adapter_options(options)), MOST_READINGS
            ):
                count += 1
                if isinstance(reading, Rejection):
                    continue
                camera = camera_id(reading.source)
                if options.camera in (None, reading.source, camera):
                    found.add(camera)
                    if len(found) >= MAX_CAMERAS:
                        break
    except OSError as error:
        raise BadInput(
            f"{options.path} cannot be read: {error.strerror}", hint="Check the path."
        ) from error
    return NamedCameras(frozenset(found), count < MOST_READINGS and len(found) < MAX_CAMERAS)
