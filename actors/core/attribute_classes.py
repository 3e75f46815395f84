"""The class of every attribute path: open, or one of the personal classes (pure).

A path is the names from the event's or the track's own fields down to the attribute, without the
places in lists: ``("data", "vehicle", "owner")``. What no list knows is `unknown`, which is
restricted like every other personal class. A deployment may assign a class to a name
(``owner``) or to the end of a path (``vehicle.owner``); the longest that fits decides.
"""

from collections.abc import Iterable, Mapping

from actors.core.errors import BadInput
from actors.core.redaction import OWN, UNKNOWN, WORDS, Redactor, normal

OPEN = "open"
TEXT = "text"  # free text: it may say anything
CLASSES = (*sorted(WORDS), TEXT, UNKNOWN)  # the personal ones
EVERY = tuple(sorted(WORDS))
MAX_CACHED = 4_096  # paths; an edge chooses names, so what is remembered is bounded
MAX_PATTERN = 200  # characters of an assigned name or path

Path = tuple[str, ...]


def pattern_of(text: str) -> Path:
    """The parts of an assigned name or path, in their normal form. Raises BadInput."""
    parts = tuple(normal(part) for part in text.split("."))
    if len(text) > MAX_PATTERN or not all(parts):
        raise BadInput(
            f"{text[:MAX_PATTERN]!r} names no attribute",
            hint="A name (owner), or names from the outside in with dots between "
            "(vehicle.owner), each with a letter or digit.",
        )
    return parts


class Classes:
    """Under one deployment's lists. `shown`: names that everybody may see; `assigned`: name or
    path → class (`OPEN` or one of `CLASSES`). Raises BadInput for a class that does not exist."""

    def __init__(
        self, shown: Iterable[str] = (), assigned: Mapping[str, str] | None = None
    ) -> None:
        self._redactor = Redactor(shown)
        self._assigned: dict[Path, str] = {}
        for text, name in (assigned or {}).items():
            if name != OPEN and name not in CLASSES:
                raise BadInput(
                    f"there is no class {name!r}", hint=f"One of: {', '.join((OPEN, *CLASSES))}."
                )
            self._assigned[pattern_of(text)] = name
        self._longest = max(map(len, self._assigned), default=0)
        self._known: dict[Path, str] = {}

    def of(self, path: Path) -> str:
        """`OPEN`, or the personal class of what stands at `path`."""
        found = self._known.get(path)
        if found is None:
            if len(self._known) >= MAX_CACHED:
                self._known.clear()
            found = self._known[path] = self._look_up(path)
        return found

    def _look_up(self, path: Path) -> str:
        if self._longest:
            plain = tuple(normal(name) for name in path)
            for length in range(min(self._longest, len(plain)), 0, -1):
                if (found := self._assigned.get(plain[-length:])) is not None:
                    return found
        found = self._redactor.class_of(path[-1], EVERY)
        if found == UNKNOWN and path[-1] in OWN:
            return TEXT
        return OPEN if found is None else found


BUILT_IN = Classes()
