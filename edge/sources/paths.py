"""Values of decoded JSON by dotted paths (pure)."""

from typing import Any

from edge.adapters.readings import RefusedInput


def at(value: Any, path: str) -> Any:
    """What is at `path` (``device.id``, ``points.0``; empty for the value itself), or None."""
    for step in path.split(".") if path else ():
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit():
            value = value[int(step)] if int(step) < len(value) else None
        else:
            return None
    return value


def level(topic: str, index: int) -> str:
    """The level `index` of a topic, from 0. Raises :class:`RefusedInput`."""
    levels = topic.split("/")
    if index >= len(levels) or not levels[index]:
        raise RefusedInput("no_camera", f"the topic {topic[:80]!r} has no level {index}")
    return levels[index]
