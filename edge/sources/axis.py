"""Axis scene metadata over MQTT: ``axis.scene.frame_v1`` and the beta before it
(``com.axis.analytics_scene_description.v0.beta``), one frame a message (pure).

Boxes are 0..1 from the top left. An object has no class until the camera has made up its mind: it
is an ``object`` then, and keeps its track when it gets a name. The camera is the level of the topic
that has the serial number, with the channel where there are several. Consolidated tracks
(``object_track_v1``) tell again what the frames told, and are not read.
"""

from typing import Any

import msgspec

from actors.core.messages.observations import Object, Observation, Value
from edge.adapters.readings import (
    Reading,
    ReadMessage,
    RefusedInput,
    gather,
    number,
    parse_time,
    score,
)
from edge.sources.paths import level
from edge.sources.receipts import Receipt

UNCLASSIFIED = "object"
MAX_LABEL = 64


class AxisFrames:
    """`topic_level`: which level of the topic names the camera, from 0."""

    CANNOT_TELL: tuple[str, ...] = (
        "why an object went: its track is over when it is in no frame any more",
    )

    def __init__(self, topic_level: int = 1) -> None:
        self._level = topic_level

    def read(self, receipt: Receipt) -> list[Reading]:
        """One frame. Raises :class:`RefusedInput`."""
        try:
            value = msgspec.json.decode(receipt.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RefusedInput("malformed", f"this is no JSON: {error}"[:200]) from error
        for name in ("data", "frame"):
            if isinstance(value, dict) and isinstance(value.get(name), dict):
                value = value[name]
        if not isinstance(value, dict) or not isinstance(value.get("observations"), list):
            raise RefusedInput("not_read", "this is no frame")
        camera = level(receipt.topic, self._level)
        channel = value.get("channel_id")
        if isinstance(channel, int) and channel > 1:
            camera = f"{camera}-{channel}"
        objects, dropped = gather(value["observations"], _object)
        moment = parse_time(value.get("timestamp"))
        return [ReadMessage(camera, Observation(moment, objects), dropped)]


def _object(value: Any) -> Object:
    if not isinstance(value, dict) or not isinstance(value.get("bounding_box"), dict):
        raise RefusedInput("malformed", "an observation has no bounding_box")
    box = value["bounding_box"]
    kind = _class(value)
    colors = kind.get("colors")
    color = colors[0].get("name") if isinstance(colors, list) and _is_first(colors) else None
    name = kind.get("type")
    attributes: dict[str, Value] = {"color": color} if isinstance(color, str) and color else {}
    return Object(
        name[:MAX_LABEL].lower() if isinstance(name, str) and name else UNCLASSIFIED,
        (
            number(box.get("left"), "left"),
            number(box.get("top"), "top"),
            number(box.get("right"), "right"),
            number(box.get("bottom"), "bottom"),
        ),
        score(kind.get("score")),
        value.get("track_id", value.get("id")),
        None,
        attributes or None,
    )


def _class(value: dict[str, Any]) -> dict[str, Any]:
    """The class, or the likeliest of several; empty before there is one."""
    found = value.get("class")
    if isinstance(found, dict):
        return found
    several = value.get("classes")
    if isinstance(several, list) and _is_first(several):
        return dict(several[0])
    return {}


def _is_first(values: list[Any]) -> bool:
    return bool(values) and isinstance(values[0], dict)
