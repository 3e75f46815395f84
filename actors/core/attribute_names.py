"""Names of attributes that no list of a deployment knows, counted over what edges said (pure).
Values are not kept."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from actors.core.redaction import DEEPEST, OWN, UNKNOWN, WORDS, Redactor

MAX_NAMES = 500
MAX_NAME = 100  # characters of a name that are shown
_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "truth value"),
    ((int, float), "number"),
    (str, "text"),
    (list, "list"),
    (dict, "object"),
    (type(None), "null"),
)


class SeenName(msgspec.Struct):
    """How often a name was seen, and the kind of value and the place of the first time."""

    count: int
    kind: str
    where: str


class NameSurvey:
    """`found`: name → what is known of it, at most `MAX_NAMES`; `more`: there were more. `shown`:
    the deployment's own list."""

    def __init__(self, shown: Iterable[str] = ()) -> None:
        self.found: dict[str, SeenName] = {}
        self.more = False
        self._redactor = Redactor(shown)

    def count(self, fields: Mapping[str, Any], where: str) -> None:
        """Count the names in `fields` and below; `where` says what they are of."""
        self._look(fields, where, 0)

    def _look(self, value: Any, where: str, depth: int) -> None:
        if depth > DEEPEST:
            return
        if isinstance(value, list):
            for child in value:
                self._look(child, where, depth + 1)
        elif isinstance(value, dict):
            for name, child in value.items():
                inner = name == "data" and isinstance(child, dict)
                if (
                    not inner
                    and name not in OWN
                    and self._redactor.class_of(name, (*WORDS,)) == UNKNOWN
                ):
                    self._note(name[:MAX_NAME], child, where)
                self._look(child, where, depth + 1)

    def _note(self, name: str, value: Any, where: str) -> None:
        seen = self.found.get(name)
        if seen is not None:
            seen.count += 1
        elif len(self.found) < MAX_NAMES:
            self.found[name] = SeenName(
                1, next((word for kind, word in _KINDS if isinstance(value, kind)), "value"), where
            )
        else:
            self.more = True
