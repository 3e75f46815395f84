"""XML from a stranger, as a small tree within bounds (pure): no DOCTYPE, so no entities and nothing
from elsewhere; a bound on bytes, depth and elements, held while it is read."""

from dataclasses import dataclass, field
from xml.parsers import expat

from edge.adapters.readings import RefusedInput

MAX_BYTES = 1_048_576
MAX_DEPTH = 48
MAX_ELEMENTS = 20_000
MAX_TEXT = 4_096  # characters of one element
PIECE = 16_384


@dataclass(slots=True)
class Element:
    """`name` without its namespace, which `space` is."""

    space: str
    name: str
    attributes: dict[str, str]
    children: list["Element"] = field(default_factory=list)
    text: str = ""

    def all(self, *path: str) -> list["Element"]:
        """The elements at a path of names below this one."""
        found = [self]
        for name in path:
            found = [child for one in found for child in one.children if child.name == name]
        return found

    def first(self, *path: str) -> "Element | None":
        """The first of them."""
        return next(iter(self.all(*path)), None)

    def under(self, name: str) -> list["Element"]:
        """All of that name below this one, in order, not inside of each other."""
        found: list[Element] = []
        waiting = [*reversed(self.children)]
        while waiting:
            one = waiting.pop()
            if one.name == name:
                found.append(one)
            else:
                waiting += reversed(one.children)
        return found


class _Builder:
    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._open) >= MAX_DEPTH or self._count > MAX_ELEMENTS:
            raise RefusedInput(
                "too_large", f"XML of more than {MAX_ELEMENTS} elements or {MAX_DEPTH} levels"
            )
        space, _, local = name.rpartition(" ")
        local_attributes = {key.rpartition(" ")[2]: value for key, value in attributes.items()}
        made = Element(space, local, local_attributes)
        if self._open:
            self._open[-1].children.append(made)
        else:
            self.root = made
        self._open.append(made)

    def end(self, _name: str) -> None:
        self._open.pop()

    def text(self, data: str) -> None:
        here = self._open[-1]
        if len(here.text) < MAX_TEXT:
            here.text = (here.text + data)[:MAX_TEXT]

    def doctype(self, *_: object) -> None:
        raise RefusedInput("doctype", "XML with a DOCTYPE is not read")


def parse(data: bytes) -> Element:
    """The root. Raises :class:`RefusedInput`."""
    if len(data) > MAX_BYTES:
        raise RefusedInput("too_large", f"XML of more than {MAX_BYTES} bytes")
    builder = _Builder()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = builder.doctype
    try:
        for start in range(0, len(data), PIECE):
            parser.Parse(data[start : start + PIECE], False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise RefusedInput("malformed", f"this is no XML: {error}") from error
    except (ValueError, LookupError) as error:  # an encoding that nobody knows
        raise RefusedInput("malformed", f"this is no XML: {error}"[:200]) from error
    if builder.root is None:
        raise RefusedInput("malformed", "this is no XML: it is empty")
    return builder.root
