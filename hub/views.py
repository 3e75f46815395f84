"""Views: one rendering of a channel for a set of permissions (pure; design sections 2 and 7).

The default view passes bytes through untouched. A redacting view replaces what belongs to a class (faces, names, plates) by
``{"redacted": "<class>"}``, so that hidden is never mistaken for absent. Which class an attribute belongs to is told by the words of its
name; a sub-label may name a person or a vehicle, so either class hides it.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

WORDS = {
    "faces": frozenset({"face", "faces", "facial"}),
    "names": frozenset({"name", "names", "firstname", "lastname", "surname", "identity"}),
    "plates": frozenset({"plate", "plates", "license", "licence", "lpr", "numberplate"}),
}
_SPLIT = re.compile(r"[^A-Za-z]+|(?<=[a-z])(?=[A-Z])")
_BOXES = ("camera", "site", "generation", "version", "offset", "status", "reason", "time", "received")
_BOX = ("id", "label", "score", "box")
_HINTS = (b'"attributes"', b'"sub_label"')


class View(msgspec.Struct, frozen=True):
    """`redact`: sorted classes. `exclude`: cameras a wall or a site's events leave out. `max_hz`: live messages a second.

    `projection` of a camera's state: ``full``, ``boxes`` (its tracks with id, label, score and box), ``summary`` (no tracks).
    """

    redact: tuple[str, ...] = ()
    exclude: frozenset[str] = frozenset()
    max_hz: float | None = None
    projection: str = "full"


DEFAULT = View()


def class_of(key: str, redact: tuple[str, ...]) -> str | None:
    """The redacted class that an attribute called `key` belongs to, None when it may be seen."""
    words = {word.lower() for word in _SPLIT.split(key[:128]) if word}
    if key == "sub_label":
        return next((name for name in ("names", "plates") if name in redact), None)
    return next((name for name in redact if words & WORDS.get(name, frozenset())), None)


def state(body: bytes, view: View) -> bytes:
    """A state or summary as `view` may see it. `body` is JSON of `actors.core.states`."""
    hiding = bool(view.redact) and any(hint in body for hint in _HINTS)
    if not hiding and view.projection == "full":
        return body
    document = msgspec.json.decode(body)
    if view.projection != "full":
        return msgspec.json.encode(_project(document, view.projection))
    changed = False
    for track in document.get("tracks", ()):
        changed |= _hide(track, view.redact, lambda key: key == "sub_label")
        changed |= _hide(track.get("attributes") or {}, view.redact, lambda key: True)
    return msgspec.json.encode(document) if changed else body


class _Of(msgspec.Struct):
    camera: str = ""


def hides(body: bytes, view: View) -> bool:
    """Whether this event is of a camera that `view` leaves out."""
    return bool(view.exclude) and msgspec.json.decode(body, type=_Of).camera in view.exclude


def _project(document: dict[str, Any], projection: str) -> dict[str, Any]:
    """What is left holds nothing that a redaction would hide."""
    if projection == "summary":
        return {key: value for key, value in document.items() if key not in ("tracks", "place")}
    kept = {key: document[key] for key in _BOXES if key in document}
    kept["tracks"] = [{key: track[key] for key in _BOX if key in track} for track in document.get("tracks", ())]
    return kept


def event(body: bytes, view: View) -> bytes:
    """An event as `view` may see it: whatever its `data` holds under a telling name, at any depth. Its hash is that of the stored event."""
    if not view.redact:
        return body
    document = msgspec.json.decode(body)
    return msgspec.json.encode(document) if _hide_deep(document.get("data"), view.redact) else body


def _hide(fields: dict[str, Any], redact: tuple[str, ...], among: Callable[[str], bool]) -> bool:
    hidden = {key: name for key in fields if among(key) and (name := class_of(key, redact)) is not None and fields[key] is not None}
    for key, name in hidden.items():
        fields[key] = {"redacted": name}
    return bool(hidden)


def _hide_deep(value: Any, redact: tuple[str, ...]) -> bool:
    changed = False
    if isinstance(value, dict):
        changed = _hide(value, redact, lambda key: True)
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        changed |= _hide_deep(child, redact)
    return changed
