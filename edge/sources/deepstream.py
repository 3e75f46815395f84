"""DeepStream over a message broker: the full and the minimal schema, as replays read them
(`edge.adapters.deepstream`), one message a receipt (pure)."""

import msgspec

from edge.adapters import deepstream
from edge.adapters.readings import Reading, RefusedInput
from edge.sources.receipts import Receipt


class DeepStreamFrames:
    """`frame_size`: the pixels of the stream multiplexer, which no message says."""

    CANNOT_TELL: tuple[str, ...] = (
        "the size of the picture: it is given with --frame-size",
        "why an object went: its track is over when it is in no frame any more",
    )

    def __init__(self, frame_size: tuple[int, int]) -> None:
        self._size = frame_size

    def read(self, receipt: Receipt) -> list[Reading]:
        """One frame, or one object of it. Raises :class:`RefusedInput`."""
        try:
            value = msgspec.json.decode(receipt.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RefusedInput("malformed", f"this is no JSON: {error}"[:200]) from error
        return [deepstream.message(value, self._size)]
