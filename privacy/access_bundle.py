"""What somebody gets who asks what is known of them: the events of a request, in which their own
values stand, and everybody else's are masked (pure)."""

from collections.abc import Collection
from typing import Any

import msgspec

from actors.core.messages.events import published
from actors.core.messages.personal import PersonalValue
from actors.core.redaction import Hidden, hide_echoes, said
from storage.ports.events import EventRow

LEFT_OUT = ("hash", "commitments")  # of no use without the other values


class BundledEvent(msgspec.Struct, frozen=True):
    """`event` as it is handed out; `unreadable`: those of the paths asked for whose values are
    erased, or cannot be read here."""

    event: dict[str, Any]
    unreadable: list[str]


def bundled(row: EventRow, paths: Collection[str]) -> BundledEvent:
    """One event with the values at `paths`. What says one of the others again, as a text that names
    two persons, is masked too."""
    own = [value for value in row.personal if value.path in paths and value.value]
    others = [value for value in row.personal if value.path not in paths]
    masks = [PersonalValue.unavailable(value.path, value.class_) for value in others]
    event = msgspec.json.decode(published(row.body, row.hash, (*own, *masks)))
    _mask(event)
    theirs = {text for value in own for text in said(msgspec.json.decode(value.value))}
    hidden: Hidden = {
        text: value.class_
        for value in others
        if value.value
        for text in said(msgspec.json.decode(value.value))
        if text and text not in theirs
    }
    hide_echoes(event.get("data"), hidden)
    for name in LEFT_OUT:
        event.pop(name, None)
    found = {value.path for value in own}
    return BundledEvent(event, sorted(path for path in paths if path not in found))


def _mask(value: Any) -> None:
    """A value that is there and somebody else's is called redacted, not unavailable."""
    if isinstance(value, dict):
        if value.keys() == {"unavailable"}:
            value["redacted"] = value.pop("unavailable")
            return
        for child in value.values():
            _mask(child)
    elif isinstance(value, list):
        for child in value:
            _mask(child)
