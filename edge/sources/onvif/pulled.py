"""Answers of a PullPoint: notifications of one camera (pure)."""

from edge.adapters.readings import Reading, RefusedInput
from edge.sources.bounded_xml import parse
from edge.sources.onvif.metadata import MAX_FRAMES, OnvifMetadata
from edge.sources.receipts import Memory, Receipt


class PulledEvents:
    """`camera`: the name of the one camera whose device this is."""

    CANNOT_TELL: tuple[str, ...] = (
        "frames: these are events, without boxes",
        "what happened while nobody was subscribed, beyond the value that a property then has",
    )

    def __init__(self, memory: Memory, camera: str) -> None:
        self._camera = camera
        self._events = OnvifMetadata(memory, camera=camera)

    def read(self, receipt: Receipt) -> list[Reading]:
        """What is new in an answer. Raises :class:`RefusedInput`."""
        root = parse(receipt.payload)
        readings: list[Reading] = []
        for notice in root.under("NotificationMessage")[:MAX_FRAMES]:
            readings += self._events.event(self._camera, notice)
        if not readings:
            raise RefusedInput("nothing_new", "the properties say what they said before")
        return readings
