"""Views: one rendering of a channel for a set of permissions (pure; design sections 2 and 7).

The default view passes bytes through untouched. A redacting view replaces what belongs to a class
(faces, names, plates), or to none that is known, by ``{"redacted": "<class>"}``, so that hidden is
never mistaken for absent: `actors.core.redaction`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from actors.core.messages.event_data import ALARM, TYPES
from actors.core.redaction import Hidden, Redactor, TooDeep, echoed, hide_echoes, normal

HIDDEN_TYPE = f"{ALARM}redacted"

_ENVELOPE = frozenset(
    {"camera", "commitments", "site", "epoch", "hash", "id", "received", "severity", "time"}
    | {"type", "v"}
)  # ours, but for the type
_STATE = frozenset(
    {"camera", "site", "severity", "status", "time", "received", "unknown_since", "place"}
)
_BOXES = (
    "camera",
    "site",
    "generation",
    "version",
    "offset",
    "status",
    "reason",
    "time",
    "received",
    "unknown_since",
)
_BOX = ("id", "label", "score", "box")
ECHOES = b'"echoes"'  # in a state or summary that says what may have to be hidden
_HINTS = (b'"attributes"', b'"sub_label"', ECHOES)


class Rule(msgspec.Struct, frozen=True):
    """What binds one camera among others, all in all: classes to hide, sorted, and live messages a
    second."""

    redact: tuple[str, ...] = ()
    max_hz: float | None = None


class CameraRules:
    """Camera → rule, for the cameras that are bound otherwise than the rest of their channel.
    Hashed once: it is a part of views."""

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
        return self is other or (
            isinstance(other, CameraRules)
            and self._hash == other._hash
            and self._rules == other._rules
        )


NO_RULES = CameraRules({})


class View(msgspec.Struct, frozen=True):
    """`redact`: sorted classes. `exclude`: cameras a wall or a site's events leave out. `max_hz`:
    live messages a second.

    `limit_hz` is the policy's part of that: nothing of a camera is seen more often, by whatever way
    (`hub.fanout.pacing`). `rules`: what binds single cameras. `projection` of a camera's state:
    ``full``, ``boxes`` (its tracks with id, label, score and box), ``summary`` (no tracks).
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


_redactor = Redactor()


def show_also(names: Iterable[str]) -> None:
    """From now on this process shows attributes called so, beside those that harm nobody: one
    process serves one deployment."""
    global _redactor
    _redactor = Redactor(names)


def class_of(key: str, redact: tuple[str, ...]) -> str | None:
    """The class for which an attribute called `key` is hidden from who may not see the classes
    `redact`, None when it may be seen."""
    return _redactor.class_of(key, redact)


def state(body: bytes, view: View) -> bytes:
    """A state or summary as `view` may see it. `body` is JSON of `actors.core.messages.states`."""
    hiding = bool(view.redact) and any(hint in body for hint in _HINTS)
    if not hiding and view.projection == "full":
        return body
    document = msgspec.json.decode(body)
    changed = hiding and (_hide_state(document, view.redact) or ECHOES in body)
    if view.projection != "full":
        return msgspec.json.encode(_project(document, view.projection))
    return msgspec.json.encode(document) if changed else body


def _hide_state(document: dict[str, Any], redact: tuple[str, ...]) -> bool:
    """Whether something was hidden."""
    all_hidden: Hidden = {}
    for track in document.get("tracks", ()):
        own = {"sub_label": track["sub_label"]} if track.get("sub_label") is not None else {}
        hidden = _redactor.hide(own, redact)
        track.update(own)
        if isinstance(attributes := track.get("attributes"), dict):
            hidden |= _redactor.hide(attributes, redact)
            hide_echoes(attributes, hidden)
        all_hidden |= hidden
    all_hidden |= _told_twice(document, redact)
    if isinstance(last := document.get("last_event"), dict):
        all_hidden |= _told_twice(last, redact)
    if all_hidden:
        hide_echoes(document, all_hidden, _STATE, numbers=False)
    return bool(all_hidden)


def summary(body: bytes, redact: tuple[str, ...]) -> bytes:
    """A summary as who may not see the classes `redact` may see it. Most say nothing that is
    hidden: look for :data:`ECHOES` first."""
    if not redact or ECHOES not in body:
        return body
    document = msgspec.json.decode(body)
    _hide_state(document, redact)
    return msgspec.json.encode(document)


def _told_twice(document: dict[str, Any], redact: tuple[str, ...]) -> Hidden:
    """What the names in `echoes`, which are taken out, have hidden."""
    echoes = document.pop("echoes", None)
    hidden: Hidden = {}
    for text, names in echoes.items() if isinstance(echoes, dict) else ():
        if (
            found := next(
                (found for name in names if (found := class_of(name, redact)) is not None), None
            )
        ) is not None:
            hidden[normal(text)] = found
    return hidden


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
    kept["tracks"] = [
        {key: track[key] for key in _BOX if key in track} for track in document.get("tracks", ())
    ]
    return kept


def event(body: bytes, redact: tuple[str, ...]) -> bytes:
    """An event without what these classes hide: what its `data` holds under a telling name, at any
    depth, and wherever else it is said.

    The hash goes too, in every event: who knows the rest of a chain can try plates until one fits.
    """
    if not redact:
        return body
    document = msgspec.json.decode(body)
    data, known = document.get("data"), document.get("type") in TYPES
    try:
        hidden = _redactor.hide(data, redact, known=known) if isinstance(data, dict) else {}
        hide_echoes(data, hidden)
    except (TooDeep, RecursionError):  # too deep to be looked through: nothing of it is shown
        hidden, document["data"] = {"": redact[0]}, {"redacted": redact[0]}
    hide_echoes(document, hidden, _ENVELOPE | {"data"}, numbers=False)
    if not known and echoed(document.get("type"), hidden) is not None:
        document["type"] = HIDDEN_TYPE
    if "hash" in document:
        document["hash"] = {"redacted": redact[0]}
    return msgspec.json.encode(document) if hidden or "hash" in document else body
