"""ONVIF events over MQTT, ``<prefix>/onvif-ej/<topic>/&<source values>`` (pure).

The payload has UtcTime, Source and Data, and no word of whether it is new: a property is kept by
the broker and comes first with the subscription, a payload of no bytes deletes it (Core
specification, event broker). Clocks of cameras are often hours off; the time is told as the camera
says it.
"""

from typing import Any

import msgspec

from actors.core.messages.observations import Observation
from actors.core.times import from_us
from edge.adapters.readings import Reading, ReadMessage, RefusedInput, parse_time
from edge.sources.onvif.properties import OnvifProperties, values
from edge.sources.paths import level
from edge.sources.receipts import Memory, Receipt

MARK = "onvif-ej"


class OnvifEvents:
    """`topic_level`: which level of the topic names the camera, from 0."""

    CANNOT_TELL: tuple[str, ...] = (
        "frames: these are events, without boxes",
        "whether a kept value is new: only what differs from the last one is told",
    )

    def __init__(self, memory: Memory, topic_level: int = 0) -> None:
        self._level = topic_level
        self._properties = OnvifProperties(memory)

    def read(self, receipt: Receipt) -> list[Reading]:
        """One event. Raises :class:`RefusedInput`."""
        _, mark, rest = receipt.topic.partition(f"/{MARK}/")
        if not mark or not rest:
            raise RefusedInput("not_read", f"{receipt.topic[:80]!r} is no event of ONVIF")
        camera = level(receipt.topic, self._level)
        topic, _, named = rest.partition("/&")
        source: dict[str, Any] = {"source": named} if named else {}
        data: dict[str, Any] = {}
        if not receipt.payload:
            moment, operation = from_us(receipt.received_us), "Deleted"
        else:
            moment, data = _parts(receipt.payload)
            operation = "Initialized" if receipt.retained else "Changed"
        alarm = self._properties.alarm(topic, operation, source, data)
        if alarm is None:
            raise RefusedInput("nothing_new", "the property says what it said before")
        return [ReadMessage(camera, Observation(moment, alarm=alarm))]


def _parts(payload: bytes) -> tuple[Any, dict[str, Any]]:
    """(time, data)."""
    try:
        value = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedInput("malformed", f"this is no JSON: {error}"[:200]) from error
    data = values(value.get("Data")) if isinstance(value, dict) else {}
    if not data:
        raise RefusedInput("malformed", "the event has no Data")
    return parse_time(value.get("UtcTime")), data
