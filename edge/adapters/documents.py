"""JSON documents of a stream of bytes: one a line, pretty-printed, back to back, or the elements of
one array, in bounded memory.

A document is a JSON object. What stands between documents (brackets and commas of an array, white
space) is passed over. A document that is broken costs itself: reading goes on at the next line that
begins one.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from actors.core.camera.decoding import without_constants
from edge.adapters.readings import MAX_LINE_BYTES, Reading, ReadMessage, RefusedInput, Rejection

MAX_DOCUMENT_BYTES = MAX_LINE_BYTES
_CONSTANT, _INFINITE = (
    b"NaN",
    b"Infinity",
)  # no JSON, but what many writers put for a number that is none
_BETWEEN = b"[], \t\r\n"  # an array's own bytes
_NESTS = b":[,"  # what a "{" inside a document comes after
_TOKEN = re.compile(rb'"(?:[^"\\\n]|\\.)*"|[{}"]')


class Document(msgspec.Struct, frozen=True):
    """One JSON object and its bytes."""

    value: dict[str, Any]
    raw: bytes


def each_document(
    pieces: Iterable[bytes], build: Callable[[Any], ReadMessage]
) -> Iterator[Reading]:
    """One reading per document, in order. `pieces` are lines; one that is too long may come in
    several pieces."""
    for found in documents(pieces):
        if isinstance(found, Rejection):
            yield found
            continue
        try:
            yield build(found.value)
        except RefusedInput as refused:
            yield Rejection(refused.code, refused.detail, found.raw)


def documents(pieces: Iterable[bytes]) -> Iterator[Document | Rejection]:
    """The documents of a stream, and a rejection for each stretch that is none."""
    scanner = _Scanner()
    for piece in pieces:
        if not scanner.open and (found := _alone(piece)) is not None:
            yield found
        else:
            yield from scanner.feed(piece)
    yield from scanner.end()


def _alone(piece: bytes) -> Document | None:
    """The document that a line holds whole, if it does: the common case, without a scan."""
    text = piece.strip(_BETWEEN)
    if (
        not (text.startswith(b"{") and text.endswith(b"}"))
        or piece.count(b"[", 0, 16) > 1
        or len(text) > MAX_DOCUMENT_BYTES
    ):
        return None
    found = _decoded(text)
    return found if isinstance(found, Document) else None


def _decoded(text: bytes) -> Document | Rejection:
    try:
        value = msgspec.json.decode(
            text if _CONSTANT not in text and _INFINITE not in text else without_constants(text)
        )
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return Rejection("malformed", f"not JSON: {error}", text[:MAX_DOCUMENT_BYTES])
    return (
        Document(value, text)
        if isinstance(value, dict)
        else Rejection("malformed", "the message is no JSON object", text)
    )


class _Scanner:
    """Finds where documents end by counting braces outside of strings. Holds at most one document
    and one piece."""

    def __init__(self) -> None:
        self._held = b""
        self._at = 0  # scanned up to here
        # where the document that is open begins; where what lies between documents begins when none
        # is
        self._begun = 0
        self._depth = 0

    @property
    def open(self) -> bool:
        """True inside a document, or when bytes wait for what follows them."""
        return self._depth > 0 or bool(self._held)

    def feed(self, piece: bytes) -> Iterator[Document | Rejection]:
        if (
            self._depth
            and piece.startswith(b"{")
            and self._held.endswith(b"\n")
            and self._held.rstrip()[-1:] not in _NESTS
        ):
            # no document can go on like this: the one that is open was cut off
            yield from self._broken()
        self._held += piece
        while (token := _TOKEN.search(self._held, self._at)) is not None:
            if token.group() == b'"' and b"\n" not in self._held[token.start() :]:
                break  # a string whose end is in the next piece
            self._at = token.end()
            yield from self._took(token)
        if not self._depth and self._held.endswith(b"\n"):
            yield from self._between(len(self._held))
            self._begun = len(self._held)
        self._held, self._at, self._begun = (
            self._held[self._begun :],
            max(self._at - self._begun, 0),
            0,
        )
        if len(self._held) > MAX_DOCUMENT_BYTES:
            yield from self._broken()

    def end(self) -> Iterator[Document | Rejection]:
        """What is left when the stream ends."""
        if self._depth:
            yield from self._broken()
        else:
            yield from self._between(len(self._held))

    def _took(self, token: re.Match[bytes]) -> Iterator[Document | Rejection]:
        if token.group() == b"{":
            if not self._depth:
                yield from self._between(token.start())
                self._begun = token.start()
            self._depth += 1
        elif token.group() == b"}" and self._depth:
            self._depth -= 1
            if not self._depth:
                yield _decoded(self._held[self._begun : self._at])
                self._begun = self._at

    def _between(self, end: int) -> Iterator[Rejection]:
        text = self._held[self._begun : end]
        if (garbage := text.strip(_BETWEEN)) or text.count(b"[") > 1:
            if len(text) > MAX_DOCUMENT_BYTES:
                yield Rejection(
                    "too_long", f"a line of more than {MAX_DOCUMENT_BYTES} bytes", text[:1024]
                )
            else:
                yield Rejection("malformed", "not JSON: no object begins here", garbage or text)

    def _broken(self) -> Iterator[Document | Rejection]:
        """Give up the document that is open: each stretch of it that begins with a line of its own
        is tried by itself."""
        held, self._held, self._at, self._begun, self._depth = self._held, b"", 0, 0, 0
        if len(held) > MAX_DOCUMENT_BYTES and b"\n{" not in held:
            yield Rejection(
                "too_long", f"a message of more than {MAX_DOCUMENT_BYTES} bytes", held[:1024]
            )
            return
        first, *others = held.split(b"\n{")
        for text in (first, *(b"{" + other for other in others)):
            yield _decoded(text.strip(_BETWEEN))
