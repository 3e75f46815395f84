"""Views: one rendering of a channel for a set of permissions (pure; design sections 2 and 7).

The default view passes bytes through untouched. A redacting view replaces what belongs to a class (faces, names, plates) by
``{"redacted": "<class>"}``, so that hidden is never mistaken for absent. Which class an attribute belongs to is told by the words of its
name; a sub-label may name a person or a vehicle, so either class hides it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

WORDS = {
    "faces": frozenset({"face", "faces", "facial", "faceid"}),
    "names": frozenset({"name", "names", "firstname", "lastname", "fullname", "surname", "identity", "personname", "personid"}),
    "plates": frozenset({"plate", "plates", "license", "licence", "lpr", "numberplate", "licenseplate", "licenceplate", "platenumber"}),
}
SHORTEST_ECHO = 3  # characters; shorter texts are in everything
Hidden = dict[str, str]  # text → class

_SPLIT = re.compile(r"[^A-Za-z]+|(?<=[a-z])(?=[A-Z])")
_BOXES = ("camera", "site", "generation", "version", "offset", "status", "reason", "time", "received")
_BOX = ("id", "label", "score", "box")
_HINTS = (b'"attributes"', b'"sub_label"')


class Rule(msgspec.Struct, frozen=True):
    """What binds one camera among others, all in all: classes to hide, sorted, and live messages a second."""

    redact: tuple[str, ...] = ()
    max_hz: float | None = None


class CameraRules:
    """Camera → rule, for the cameras that are bound otherwise than the rest of their channel. Hashed once: it is a part of views."""

    __slots__ = ("_hash", "_rules")

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self._rules = dict(rules)
        self._hash = hash(frozenset(self._rules.items()))

    def get(self, camera: str) -> Rule | None:
        """The rule of a camera, None where the channel's holds."""
        return self._rules.get(camera)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, CameraRules) and self._hash == other._hash and self._rules == other._rules)


NO_RULES = CameraRules({})


class View(msgspec.Struct, frozen=True):
    """`redact`: sorted classes. `exclude`: cameras a wall or a site's events leave out. `max_hz`: live messages a second.

    `limit_hz` is the policy's part of that: nothing of a camera is seen more often, by whatever way (`hub.pacing`). `rules`: what binds
    single cameras.
    `projection` of a camera's state: ``full``, ``boxes`` (its tracks with id, label, score and box), ``summary`` (no tracks).
    """

    redact: tuple[str, ...] = ()
    exclude: frozenset[str] = frozenset()
    max_hz: float | None = None
    projection: str = "full"
    limit_hz: float | None = None
    rules: CameraRules = NO_RULES

    def redact_of(self, camera: str) -> tuple[str, ...]:
        """The classes hidden of one camera."""
        rule = self.rules.get(camera)
        return self.redact if rule is None else rule.redact

    def limit_of(self, camera: str) -> float | None:
        """How often a second one camera may be seen."""
        rule = self.rules.get(camera)
        return self.limit_hz if rule is None else rule.max_hz


DEFAULT = View()


def class_of(key: str, redact: tuple[str, ...]) -> str | None:
    """The redacted class that an attribute called `key` belongs to, None when it may be seen."""
    words = {word.lower() for word in _SPLIT.split(key) if word}
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
        hidden = _hide(track, view.redact, lambda key: key == "sub_label") | _hide_deep(track.get("attributes"), view.redact)
        _hide_echoes(track.get("attributes"), hidden)
        changed |= bool(hidden)
    return msgspec.json.encode(document) if changed else body


class _Of(msgspec.Struct):
    camera: str = ""


def of_camera(body: bytes, view: View) -> bytes | None:
    """An event of any camera as `view` may see it; None where it leaves the camera out."""
    if not view.exclude and not view.rules:
        return event(body, view.redact)
    camera = msgspec.json.decode(body, type=_Of).camera
    return None if camera in view.exclude else event(body, view.redact_of(camera))


def _project(document: dict[str, Any], projection: str) -> dict[str, Any]:
    """What is left holds nothing that a redaction would hide."""
    if projection == "summary":
        return {key: value for key, value in document.items() if key not in ("tracks", "place")}
    kept = {key: document[key] for key in _BOXES if key in document}
    kept["tracks"] = [{key: track[key] for key in _BOX if key in track} for track in document.get("tracks", ())]
    return kept


def event(body: bytes, redact: tuple[str, ...]) -> bytes:
    """An event without what these classes hide: what its `data` holds under a telling name, at any depth, and wherever else it is said.

    The hash goes too, in every event: who knows the rest of a chain can try plates until one fits.
    """
    if not redact:
        return body
    document = msgspec.json.decode(body)
    try:
        hidden = _hide_deep(document.get("data"), redact)
        _hide_echoes(document.get("data"), hidden)
    except RecursionError:  # too deep to be looked through: nothing of it is shown
        hidden, document["data"] = {"": redact[0]}, {"redacted": redact[0]}
    if "hash" in document:
        document["hash"] = {"redacted": redact[0]}
    return msgspec.json.encode(document) if hidden or "hash" in document else body


def _hide(fields: dict[str, Any], redact: tuple[str, ...], among: Callable[[str], bool]) -> Hidden:
    """What was hidden: text → class."""
    found = {key: name for key in fields if among(key) and (name := class_of(key, redact)) is not None and fields[key] is not None}
    hidden: Hidden = {}
    for key, name in found.items():
        hidden |= dict.fromkeys(_texts(fields[key]), name)
        fields[key] = {"redacted": name}
    return hidden


def _hide_deep(value: Any, redact: tuple[str, ...]) -> Hidden:
    hidden: Hidden = {}
    if isinstance(value, dict):
        hidden = _hide(value, redact, lambda key: True)
    for child in _children(value):
        hidden |= _hide_deep(child, redact)
    return hidden


def _hide_echoes(value: Any, hidden: Hidden) -> None:
    """Hide every text below `value` that says what was hidden: an alarm's text names the plate that its data holds."""
    spoken = {text: name for text, name in hidden.items() if len(text) >= SHORTEST_ECHO}
    if not spoken or not isinstance(value, dict | list):
        return
    for key, child in list(value.items()) if isinstance(value, dict) else list(enumerate(value)):
        if isinstance(child, str):
            name = next((name for text, name in spoken.items() if text in child), None)
            if name is not None:
                value[key] = {"redacted": name}
        else:
            _hide_echoes(child, spoken)


def _children(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _texts(value: Any) -> Iterator[str]:
    """Every text in `value`; what is no text echoes nowhere. Without text a mark that something was hidden."""
    if isinstance(value, str):
        yield value
    else:
        yield ""
        for child in _children(value):
            yield from _texts(child)
