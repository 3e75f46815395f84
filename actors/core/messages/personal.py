"""The personal part of an event: taken out of its body, committed to there, and put back for who
may see it (pure).

Body version 2 is the *open part*: where a personal value stood it says ``{"erased": class}``, and
``commitments`` names the place, the class and a salted SHA-256 of the value. The chain is over the
open part alone, so it verifies with the values, without them, and after they were erased. A body
without a personal value is version 1, byte for byte as ever; both stand in one chain.

A salt has 16 random bytes and is erased with its value: without it the commitment of a plate could
be guessed at a rate of millions a second, and would be the plate.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from actors.core.attribute_classes import BUILT_IN, OPEN, TEXT, Classes
from actors.core.messages.event_data import ALARM
from actors.core.redaction import DEEPEST, UNKNOWN, Hidden, echoed, said

VERSION = 2
SALT_BYTES = 16
ENTROPY_BYTES = 32
ERASED_TYPE = f"{ALARM}erased"  # the type of an alarm whose own type says a personal value
COMMITTED = b'"commitments":{'  # only a body with commitments holds these bytes at its top level

_TAG = b"eyrie.commitment.2\0"
_PLAIN_NAME = re.compile(r"[A-Za-z_.-]{1,64}\Z")
_ENVELOPE = ("type", "label", "track")  # fields beside `data` that an edge chose
_encoder = msgspec.json.Encoder()

Pairs = dict[str, Any]


class PersonalValue(msgspec.Struct, frozen=True, array_like=True):
    """One value, as JSON. Below `data` it holds the pair or pairs of name and value that stood at
    `path`, or the item of a list; of the envelope it is the bare text."""

    path: str
    class_: str
    salt: bytes
    value: bytes

    @classmethod
    def unavailable(cls, path: str, class_: str) -> "PersonalValue":
        """In the place of one that is stored and cannot be read now."""
        return cls(path, class_, b"", b"")

    def __repr__(self) -> str:
        """Without value and salt: this may end in a log."""
        return f"PersonalValue({self.path!r}, {self.class_!r})"


class Sealing(msgspec.Struct, frozen=True):
    """What is needed to take personal values out: the classes, and `ENTROPY_BYTES` fresh random
    bytes that nobody keeps. Each salt is derived from them and stored with its value."""

    entropy: bytes
    classes: Classes = BUILT_IN

    def __repr__(self) -> str:
        """Without the entropy."""
        return "Sealing()"

    def salt(self, event: str, path: str) -> bytes:
        """The salt of one value."""
        if len(self.entropy) != ENTROPY_BYTES:
            raise ValueError(f"salts need {ENTROPY_BYTES} random bytes")
        return hashlib.sha256(
            self.entropy + len(event).to_bytes(4) + event.encode() + path.encode()
        ).digest()[:SALT_BYTES]


class OpenPart(msgspec.Struct):
    """An event without its personal values: what is to stand in `data` and in the envelope, and the
    values by path, with their classes."""

    data: Pairs
    envelope: dict[str, str | None]
    values: dict[str, tuple[str, bytes]]


def commitment(path: str, class_: str, salt: bytes, value: bytes) -> str:
    """``class:hex``, as a body says it."""
    head = b"".join(len(part).to_bytes(4) + part for part in (path.encode(), class_.encode()))
    return f"{class_}:{hashlib.sha256(_TAG + salt + head + value).hexdigest()}"


def genuine(value: PersonalValue, commitments: Mapping[str, str]) -> bool:
    """Whether a body committed to just this value."""
    return commitments.get(value.path) == commitment(
        value.path, value.class_, value.salt, value.value
    )


def open_part(data: Pairs, envelope: Mapping[str, str | None], classes: Classes) -> OpenPart | None:
    """Take the personal values out of an alarm's `data` and `envelope` (type, label, track). None:
    there is none, and the event stays as it is. The arguments are not changed.

    What repeats a personal value anywhere else in the event is as personal as the value.
    """
    taking = _Taking(classes)
    looked_through = True
    try:
        found = taking.fields(data, (), "/data", 0)
        if not taking.values:
            return None
        found = taking.echoes(found, "/data", 0)
    except (_TooDeep, RecursionError):  # what cannot be looked through is not stored in the open,
        taking = _Taking(classes)
        found = taking.whole(data)
        looked_through = False  # nor what may repeat it
    seen: dict[str, str | None] = {}
    for name in _ENVELOPE:
        text = envelope.get(name)
        class_ = None if text is None else UNKNOWN
        if text is not None and looked_through:
            class_ = _repeated(name, text, taking.hidden)
        if class_ is not None:
            taking.values[f"/{name}"] = (class_, _encoder.encode(text))
            seen[name] = ERASED_TYPE if name == "type" else None
        else:
            seen[name] = text
    return OpenPart(found, seen, taking.values)


def comparable(event: Mapping[str, Any], classes: Classes = BUILT_IN) -> Mapping[str, Any]:
    """A decoded event as its open part says it, whether its body is of version 1 or 2: so two that
    tell the same are equal, but for their personal values. Commitments differ by their salts."""
    if event.get("v") == VERSION or not str(event.get("type", "")).startswith(ALARM):
        return event
    data = event.get("data")
    found = (
        open_part(data, {name: event.get(name) for name in _ENVELOPE}, classes)
        if isinstance(data, dict)
        else None
    )
    if found is None:
        return event
    stands = {name: text for name, text in found.envelope.items() if text is not None}
    rest = {name: value for name, value in event.items() if name not in _ENVELOPE}
    return {**rest, **stands, "data": found.data}


class _TooDeep(Exception):
    pass


class _Taking:
    """One walk. `hidden`: what was taken, in its normal form → class; `values` by path."""

    def __init__(self, classes: Classes) -> None:
        self._classes = classes
        self.hidden: Hidden = {}
        self.values: dict[str, tuple[str, bytes]] = {}

    def fields(self, fields: Pairs, names: tuple[str, ...], path: str, depth: int) -> Pairs:
        if depth > DEEPEST:
            raise _TooDeep
        taken: dict[str, tuple[str, Pairs]] = {}
        found: Pairs = {}
        for key, value in fields.items():
            inner = key == "data" and isinstance(value, dict)
            below = names if inner else (*names, key)
            class_ = OPEN if inner else self._classes.of(below)
            telling = bool(_PLAIN_NAME.match(key)) and class_ != UNKNOWN
            if class_ == OPEN or (value is None and telling):
                found[key] = self._below(value, below, f"{path}/{_escaped(key)}", depth + 1)
                continue
            self._hide(value, class_)
            name = key
            if not telling:  # the name itself may be the value
                self._hide(key, class_)
                name = _free(class_, key, fields)
            taken.setdefault(name, (class_, {}))[1][key] = value
            found[name] = {"erased": class_}
        self._keep(taken, path)
        return found

    def _hide(self, value: Any, class_: str) -> None:
        for text in filter(None, said(value)):
            if self.hidden.get(text) in (None, UNKNOWN, TEXT):  # a class that says more stays
                self.hidden[text] = class_

    def _below(self, value: Any, names: tuple[str, ...], path: str, depth: int) -> Any:
        if depth > DEEPEST:
            raise _TooDeep
        if isinstance(value, dict):
            return self.fields(value, names, path, depth)
        if isinstance(value, list):
            return [
                self._below(child, names, f"{path}/{place}", depth + 1)
                for place, child in enumerate(value)
            ]
        return value

    def echoes(self, fields: Pairs, path: str, depth: int) -> Pairs:
        """Take out what says again what was taken, names of keys included."""
        taken: dict[str, tuple[str, Pairs]] = {}
        found: Pairs = {}
        for key, value in fields.items():
            place = f"{path}/{_escaped(key)}"
            if place in self.values:
                found[key] = value
                continue
            named = echoed(key, self.hidden) if depth else None  # at the top the names are ours
            class_ = named or echoed(value, self.hidden)
            if class_ is None:
                found[key] = self._echoes_below(value, place, depth + 1)
                continue
            name = _free(class_, key, fields) if named else key
            taken.setdefault(name, (class_, {}))[1][key] = value
            found[name] = {"erased": class_}
        self._keep(taken, path)
        return found

    def _echoes_below(self, value: Any, path: str, depth: int) -> Any:
        if isinstance(value, dict):
            return self.echoes(value, path, depth)
        if not isinstance(value, list):
            return value
        found = []
        for place, child in enumerate(value):
            if (class_ := echoed(child, self.hidden)) is not None:
                self.values[f"{path}/{place}"] = (class_, _encoder.encode(child))
                found.append({"erased": class_})
            else:
                found.append(self._echoes_below(child, f"{path}/{place}", depth + 1))
        return found

    def whole(self, data: Pairs) -> Pairs:
        """All of it as one value."""
        self.values[f"/data/{UNKNOWN}"] = (UNKNOWN, _encoder.encode(data))
        return {UNKNOWN: {"erased": UNKNOWN}}

    def _keep(self, taken: dict[str, tuple[str, Pairs]], path: str) -> None:
        for name, (class_, pairs) in taken.items():
            self.values[f"{path}/{_escaped(name)}"] = (class_, _encoder.encode(pairs))


def _free(class_: str, key: str, fields: Pairs) -> str:
    """Under which name what was called `key` stands: its class, where no other field is called
    so."""
    name = class_
    while name != key and name in fields:
        name += "_"
    return name


def _repeated(name: str, text: str, hidden: Hidden) -> str | None:
    """The class of what a field of the envelope says again. The type of an alarm is a word of the
    device's setup, by which events are searched: that an attribute of no list says it too (a
    ``rule``) makes it none that names somebody, unless it has a number in it."""
    if name != "type":
        return echoed(text, hidden)
    said_there = text.removeprefix(ALARM)
    found = echoed(said_there, hidden)
    if found in (UNKNOWN, TEXT) and not any(map(str.isdigit, said_there)):
        return None
    return found


def joined(body: bytes, values: Iterable[PersonalValue]) -> bytes:
    """The event with these of its values back in their places; the others stay erased. A value that
    the body did not commit to stays out."""
    event = msgspec.json.decode(body)
    commitments = commitments_of(event)
    if not commitments:
        return body
    for path, said_there in commitments.items():
        if path.count("/") == 1 and path != "/type":
            event.setdefault(path[1:], {"erased": said_there.partition(":")[0]})
    for value in sorted(values, key=_depth):  # what holds others comes first
        parts = [_unescaped(part) for part in value.path.split("/")[1:]]
        if not value.value and value.path in commitments:
            _put(event, parts, {"unavailable": value.class_}, marker=True)
        elif genuine(value, commitments):
            _put(event, parts, msgspec.json.decode(value.value))
    return _encoder.encode(event)


def commitments_of(event: Any) -> dict[str, str]:
    """What the body of an event, decoded, commits to: path → ``class:hex``."""
    if not isinstance(event, dict) or event.get("v") != VERSION:
        return {}
    found = event.get("commitments")
    return found if isinstance(found, dict) else {}


def _put(event: Pairs, parts: list[str], said_there: Any, *, marker: bool = False) -> None:
    *above, last = parts
    if not above:
        event[last] = said_there
        return
    parent: Any = event
    try:
        for part in above:
            parent = parent[int(part)] if isinstance(parent, list) else parent[part]
        if isinstance(parent, list):
            parent[int(last)] = said_there
            return
        if marker:
            parent[last] = said_there
            return
        items = list(parent.items())
        parent.clear()
        for key, child in items:
            parent.update(said_there if key == last else {key: child})
    except (KeyError, IndexError, ValueError, TypeError, AttributeError):
        return  # committed to, but there is no such place: nothing is shown of it


def _depth(value: PersonalValue) -> int:
    return value.path.count("/")


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _unescaped(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")
