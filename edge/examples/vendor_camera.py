"""A camera vendor's first program: a detector's boxes go to Eyrie, survive a bad link, and an alarm
goes out at once.

    EYRIE_TOKEN=… python -m edge.examples.vendor_camera ws://127.0.0.1:8000/v1/edge gate-1

Replace `detect` by your detector. Boxes are 0..1 from the top left; ids are those of your tracker,
the same object over frames. The spool folder keeps what the hub has not acked: start the program
again, also after a power failure, and it goes on from there.
"""

import math
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from actors.core.errors import EyrieError
from actors.core.messages.observations import Alarm, Object, Observation
from edge.blocking import BlockingEdgeClient

FPS = 10


def detect(frame: int) -> list[Object]:
    """One person who walks to and fro."""
    x = 0.5 + 0.4 * math.sin(frame / 40)
    return [Object("person", (x - 0.05, 0.3, x + 0.05, 0.8), score=0.9, id="1")]


def observations(frames: int | None) -> Iterator[Observation]:
    """What the camera sees, at its frame rate; an alarm in frame 50."""
    frame = 0
    while frames is None or frame < frames:
        started = time.monotonic()
        alarm = (
            Alarm("button", severity="critical", text="The emergency button was pressed")
            if frame == 50
            else None
        )
        yield Observation(datetime.now(UTC), detect(frame), alarm)
        frame += 1
        time.sleep(max(0.0, 1 / FPS - (time.monotonic() - started)))


def main(
    url: str, camera: str, frames: int | None = None, spool: Path = Path("eyrie-spool")
) -> int:
    """Stream until interrupted, or `frames` frames; the exit code."""
    try:
        with BlockingEdgeClient(
            url, os.environ.get("EYRIE_TOKEN"), spool=spool, producer="vendor-camera"
        ) as client:
            stream = client.open(camera, frame_size=(1920, 1080))
            for observation in observations(frames):
                stream.send(observation)
            stream.drain(30)
    except EyrieError as error:
        sys.stderr.write(f"{error.detail}\n{error.next_step}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
