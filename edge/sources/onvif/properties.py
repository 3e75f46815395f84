"""Properties of ONVIF events as alarms: what changed, once (pure)."""

import re
from typing import Any

from actors.core.messages.observations import Alarm
from edge.sources.receipts import Memory

MAX_VALUES = 32  # of Source and Data
MAX_TEXT = 256
MAX_PROPERTIES = 4_096
ON, OFF = {"true", "1", "active"}, {"false", "0", "inactive"}


class OnvifProperties:
    """What each property said last, by topic and source."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._known = memory.under("property/", dict)

    def alarm(
        self, topic: str, operation: str, source: dict[str, Any], data: dict[str, Any]
    ) -> Alarm | None:
        """The alarm of an event, or None where it says nothing new. `operation`: Initialized (the
        value of a property as we begin to listen), Changed, Deleted; empty for an event that is
        no property, which is news each time."""
        if not operation:
            return Alarm(f"onvif.{kind(topic)}", "notice", data={**source, **data})
        key = "/".join([topic, *(f"{name}={value}" for name, value in sorted(source.items()))])
        before = self._known.get(key)
        if operation == "Deleted":
            self._forget(key)
            if before is None or is_on(before) is not True:
                return None
            return Alarm(f"onvif.{kind(topic)}", "info", data={**source, "deleted": True})
        on = is_on(data)
        if before == data:
            return None
        self._remember(key, data)
        if before is None and operation == "Initialized" and on is False:
            return None
        severity = "info" if on is False else "notice"
        first = {"initial": True} if operation == "Initialized" else {}
        return Alarm(f"onvif.{kind(topic)}", severity, data={**source, **data, **first})

    def _forget(self, key: str) -> None:
        self._known.pop(key, None)
        self._memory.forget(f"property/{key}")

    def _remember(self, key: str, data: dict[str, Any]) -> None:
        self._known[key] = data
        self._memory.keep(f"property/{key}", data)
        while len(self._known) > MAX_PROPERTIES:
            self._forget(next(iter(self._known)))


def values(found: Any) -> dict[str, Any]:
    """Texts, numbers and truth values, the first `MAX_VALUES`."""
    if not isinstance(found, dict):
        return {}
    kept = {
        str(name)[:64]: value[:MAX_TEXT] if isinstance(value, str) else value
        for name, value in found.items()
        if isinstance(value, str | int | float | bool)
    }
    return dict([*kept.items()][:MAX_VALUES])


def is_on(data: dict[str, Any]) -> bool | None:
    """Whether a property is on; None where nothing of it can be."""
    words = {str(value).lower() for value in data.values()}
    if words & ON:
        return True
    return False if words & OFF else None


def kind(topic: str) -> str:
    """The last two words of a topic, without their namespaces: ``cell_motion_detector.motion``."""
    words = [name.rpartition(":")[2] for name in topic.split("/") if name][-2:]
    snake = [re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word).lower() for word in words]
    found = re.sub(r"[^a-z0-9_.]+", "_", ".".join(snake)).strip("._")
    return found[:50] or "event"
