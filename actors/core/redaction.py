"""What a class hides inside one event or state (pure). Unknown means hidden: what an edge says
under a name of its own is shown to who may not see every class only when the name is on the list of
this deployment (`policy.shown_attributes`, beside :data:`HARMLESS`).

A value that was hidden is hidden wherever the same document says it again: in another case, with
other separators, as a number, as a label, as a name of a key. Names that are not on the list are
not shown either, since they may be the value.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from typing import Any

WORDS = {
    "faces": frozenset({"face", "faces", "facial", "faceid"}),
    "names": frozenset(
        {
            "name",
            "names",
            "firstname",
            "lastname",
            "fullname",
            "surname",
            "identity",
            "personname",
            "personid",
        }
    ),
    "plates": frozenset(
        {
            "plate",
            "plates",
            "license",
            "licence",
            "lpr",
            "numberplate",
            "licenseplate",
            "licenceplate",
            "platenumber",
        }
    ),
}
MARKS = ("erased", "unavailable")
UNKNOWN = "unknown"  # the class of what no list names
_HARMLESS = """
age_s angle area battery bearing body body_type brand class clothing_color clothing_colour color colour confidence count counts
direction distance distance_m duration duration_s dwell_s end_s found fps frame hard_hat heading height helmet hits humidity lane
length level lower_color lower_colour make mask model moving n objects occupied ppe score severity size speed speed_kmh speed_mph
speed_mps start_s state stationary status temperature type upper_color upper_colour vehicle_class vehicle_color vehicle_colour
vehicle_type version vest visibility weather weight width zone zones
"""  # noqa: E501
HARMLESS = frozenset(_HARMLESS.split())
OWN = frozenset({"text"})  # a name of ours, whatever is under it
SHORTEST_ECHO = (
    3  # characters; shorter ones are in everything, and hide only what is the same as a whole
)
DEEPEST = 32

MARKED = frozenset({*WORDS, "text", UNKNOWN})

Hidden = dict[str, str]  # what was hidden, in its normal form → class

_SPLIT = re.compile(r"[^A-Za-z]+|(?<=[a-z])(?=[A-Z])")
_PLAIN_NAME = re.compile(r"[A-Za-z_.-]{1,64}\Z")


def is_marker(value: Any) -> bool:
    """Whether `value` stands in the place of what was erased or cannot be read, and says nothing
    else: a device cannot bring a value of its own in such a form."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    ((mark, name),) = value.items()
    return mark in MARKS and name in MARKED


class TooDeep(Exception):
    """Deeper than is looked through."""


class Redactor:
    """Under one list of shown names."""

    def __init__(self, shown: Iterable[str] = ()) -> None:
        self._shown = frozenset(normal(name) for name in (*HARMLESS, *shown))

    def class_of(self, key: str, redact: tuple[str, ...], *, known: bool = False) -> str | None:
        """The class under which a value called `key` is hidden from who may not see the classes
        `redact`, None when it may be seen.

        `known`: the names are the product's own, so none is hidden for being on no list.
        """
        if not redact:
            return None
        if key == "sub_label":  # it may name a person or a vehicle
            return next((name for name in ("names", "plates") if name in redact), None)
        words = {word.lower() for word in _SPLIT.split(key) if word}
        classes = [name for name, telling in WORDS.items() if words & telling]
        if classes:
            return next((name for name in classes if name in redact), None)
        return None if known or normal(key) in self._shown else UNKNOWN

    def hide(
        self,
        fields: dict[str, Any],
        redact: tuple[str, ...],
        *,
        known: bool = False,
        depth: int = 0,
    ) -> Hidden:
        """Hide in `fields` and below what has no shown name. Raises TooDeep."""
        if depth > DEEPEST:
            raise TooDeep
        hidden: Hidden = {}
        for key, value in list(fields.items()):
            found = (
                None
                if key == "data" and isinstance(value, dict)
                else self.class_of(key, redact, known=known)
            )
            if is_marker(value):
                continue
            if found is not None and value is not None:
                del fields[key]
                hidden |= dict.fromkeys(said(value), found)
                name = key
                if key not in OWN and (found == UNKNOWN or not _PLAIN_NAME.match(key)):
                    name = found
                    hidden[normal(key)] = found
                fields[name] = {"redacted": found}
            else:
                hidden |= self._below(value, redact, known, depth + 1)
        return hidden

    def _below(self, value: Any, redact: tuple[str, ...], known: bool, depth: int) -> Hidden:
        if depth > DEEPEST:
            raise TooDeep
        if isinstance(value, dict):
            return self.hide(value, redact, known=known, depth=depth)
        hidden: Hidden = {}
        for child in value if isinstance(value, list) else ():
            hidden |= self._below(child, redact, known, depth + 1)
        return hidden


def hide_echoes(
    value: Any, hidden: Hidden, keep: frozenset[str] = frozenset(), *, numbers: bool = True
) -> None:
    """Hide whatever below `value` says again what was hidden, names of keys included; the values
    called as in `keep` are left alone.

    `numbers`: those that only measure may say it by chance; they are looked at where an edge chose
    them.
    """
    if isinstance(value, dict):
        for key, child in list(value.items()):
            if key in keep or (isinstance(child, dict) and child.keys() == {"redacted"}):
                continue
            if (numbers or isinstance(child, str)) and (found := echoed(child, hidden)) is not None:
                value[key] = {"redacted": found}
            else:
                hide_echoes(child, hidden, numbers=numbers)
            if key not in WORDS and (name := echoed(key, hidden)) is not None and key != UNKNOWN:
                value.setdefault(name, value.pop(key))
    elif isinstance(value, list):
        for place, child in enumerate(value):
            if (numbers or isinstance(child, str)) and (found := echoed(child, hidden)) is not None:
                value[place] = {"redacted": found}
            else:
                hide_echoes(child, hidden, numbers=numbers)


def echoed(value: Any, hidden: Hidden) -> str | None:
    """The class of what a text or number says again."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not hidden:
        return None
    said = normal(str(value))
    if (found := hidden.get(said)) is not None:
        return found if isinstance(value, str) or len(said) >= SHORTEST_ECHO else None
    if not isinstance(value, str) or len(said) < SHORTEST_ECHO:
        return None
    return next(
        (found for text, found in hidden.items() if len(text) >= SHORTEST_ECHO and text in said),
        None,
    )


def normal(text: str) -> str:
    """Without case and separators: what people read as the same."""
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def said(value: Any) -> Iterator[str]:
    """What `value` says, in its normal form; and an empty mark that there was something."""
    if isinstance(value, str):
        yield normal(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        text = normal(str(value))
        yield text if len(text) >= SHORTEST_ECHO else ""
        if isinstance(value, float) and value.is_integer():
            yield normal(str(int(value)))
    else:
        yield ""
        for child in (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        ):
            yield from said(child)


def repeats(texts: Iterable[str], *fields: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Text → the names in `fields` (and above them) under which an edge says it too, of texts that
    a redaction may have to hide.

    What stands under a harmless name alone is left out: no deployment hides it.
    """
    wanted = {text: normal(text) for text in texts}
    found: dict[str, dict[str, None]] = {}
    for names, said in chain.from_iterable(_private(part, (), 0) for part in fields):
        for text, plain in wanted.items():
            if plain and (said == plain or (len(said) >= SHORTEST_ECHO and said in plain)):
                found.setdefault(text, {}).update(dict.fromkeys(names))
    return {text: tuple(named) for text, named in found.items()}


def _private(
    value: Any, above: tuple[str, ...], depth: int
) -> Iterator[tuple[tuple[str, ...], str]]:
    """(names above, what is said there, in its normal form) of all but what harms nobody; names
    count as said."""
    if isinstance(value, dict) and depth <= DEEPEST:
        for key, child in value.items():
            below = (*above, key)
            if not (key == "data" and isinstance(child, dict)) and not _harmless(key):
                yield below, normal(key)
            yield from _private(child, below, depth + 1)
    elif isinstance(value, list) and depth <= DEEPEST:
        for child in value:
            yield from _private(child, above, depth + 1)
    elif not all(map(_harmless, above)):
        for text in said(value):
            if text:
                yield above, text


@lru_cache(maxsize=1024)
def _harmless(key: str) -> bool:
    return _EVERYBODYS.class_of(key, (*WORDS,)) is None


_EVERYBODYS = Redactor()
