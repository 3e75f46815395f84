"""What can still be read of an edge frame that does not decode: which camera it is of, and its
items one by one.

A hub decodes a frame as a whole, so one `NaN`, one lone surrogate or 5,000 brackets in one item
would cost its neighbours. Here the frame is only cut along its brackets, without recursion and
without looking into the items; the camera's actor finds the bad ones. Pure; used for frames that
did not decode, never on the hot path.
"""

import re
from typing import Any, Literal

import msgspec

from actors.core.identifiers import is_id
from actors.core.messages.edge_protocol import SentTime
from actors.core.messages.observations import Backlog

Format = Literal["json", "msgpack"]

MAX_SEQ = 2**53

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},:]', re.DOTALL)
_CAMERA_JSON = re.compile(rb'"camera"\s*:\s*"([a-z0-9_-]{1,64})"')
_CAMERA_MSGPACK = re.compile(rb"\xa6camera(?:[\xa1-\xbf]|\xd9[\x20-\x40])([a-z0-9_-]{1,64})")


class Salvaged(msgspec.Struct, frozen=True):
    """A damaged frame. `items` are the raw observations of an `observe` that begins with
    `first_seq` (0 and less are out of range)."""

    kind: str
    camera: str
    first_seq: int = 0
    items: list[bytes] | None = None
    sent: SentTime | None = None
    backlog: Backlog | None = None


def salvage(frame: bytes, form: Format) -> Salvaged | None:
    """What `frame` says in spite of its damage, or None when it does not even name a camera."""
    try:
        parts = _json_map(frame) if form == "json" else _msgpack_map(frame)
    except (ValueError, IndexError):
        parts = {}
    camera = _read(parts.get("camera", b""), form, str)
    if camera is None or not is_id(camera):
        guessed = (_CAMERA_JSON if form == "json" else _CAMERA_MSGPACK).search(frame)
        named = guessed[1].decode("ascii") if guessed is not None else ""
        return Salvaged("", named) if is_id(named) else None
    kind = _read(parts.get("type", b""), form, str) or ""
    first = _read(parts.get("first_seq", b""), form, int)
    if kind != "observe" or first is None or "observations" not in parts:
        return Salvaged(kind, camera)
    try:
        items = (
            _json_items(parts["observations"])
            if form == "json"
            else _msgpack_items(parts["observations"])
        )
    except (ValueError, IndexError):
        return Salvaged(kind, camera)
    sent = _read(parts.get("sent", b""), form, SentTime)
    return Salvaged(
        kind, camera, first, items, sent, _read(parts.get("backlog", b""), form, Backlog)
    )


def _read(raw: bytes, form: Format, kind: Any) -> Any:
    if not raw:
        return None
    try:
        return (
            msgspec.json.decode(raw, type=kind)
            if form == "json"
            else msgspec.msgpack.decode(raw, type=kind)
        )
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError):
        return None


# JSON


def _json_map(frame: bytes) -> dict[str, bytes]:
    """Key → raw value of the outermost object. Raises ValueError when it has no end."""
    found = {}
    for part in _split(frame, b"{", b"}"):
        key = _TOKEN.match(part.lstrip())
        if key is None or key[0][:1] != b'"':
            raise ValueError("a member without a key")
        rest = part.lstrip()[key.end() :].lstrip()
        if rest[:1] != b":":
            raise ValueError("a key without a value")
        found[key[0][1:-1].decode("utf-8", "replace")] = rest[1:].strip()
    return found


def _json_items(raw: bytes) -> list[bytes]:
    return [part.strip() for part in _split(raw, b"[", b"]")]


def _split(raw: bytes, opening: bytes, closing: bytes) -> list[bytes]:
    """The parts between the commas of the outermost bracket."""
    text = raw.strip()
    if text[:1] != opening:
        raise ValueError("not the bracket expected")
    parts, depth, since = list[bytes](), 0, 1
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in (b"[", b"{"):
            depth += 1
        elif mark in (b"]", b"}"):
            depth -= 1
            if depth == 0:
                if mark != closing or text[token.end() :].strip():
                    raise ValueError("something after the end")
                last = text[since : token.start()]
                return [*parts, last] if parts or last.strip() else []
        elif mark == b"," and depth == 1:
            parts.append(text[since : token.start()])
            since = token.end()
    raise ValueError("no end")


# MessagePack (MessagePack specification, "Formats")


def _msgpack_map(frame: bytes) -> dict[str, bytes]:
    count, at = _head(frame, 0)
    if not (0x80 <= frame[0] <= 0x8F or frame[0] in (0xDE, 0xDF)):
        raise ValueError("no map")
    found = {}
    for _ in range(count // 2):
        end = _end(frame, at)
        key = _read(frame[at:end], "msgpack", str)
        at, end = end, _end(frame, end)
        if key is not None:
            found[key] = frame[at:end]
        at = end
    return found


def _msgpack_items(raw: bytes) -> list[bytes]:
    if not (0x90 <= raw[0] <= 0x9F or raw[0] in (0xDC, 0xDD)):
        raise ValueError("no array")
    count, at = _head(raw, 0)
    items = []
    for _ in range(count):
        end = _end(raw, at)
        items.append(raw[at:end])
        at = end
    return items


def _end(data: bytes, at: int) -> int:
    """Where the value at `at` ends. Raises IndexError when that is beyond the data."""
    left = 1
    while left:
        inside, at = _head(data, at)
        left += inside - 1
    if at > len(data):
        raise IndexError("cut short")
    return at


def _head(data: bytes, at: int) -> tuple[int, int]:
    """(how many values lie within the one at `at`, where the first of them, or the next one,
    begins)."""
    first = data[at]
    if first <= 0x7F or first >= 0xE0 or first in (0xC0, 0xC2, 0xC3):
        return 0, at + 1
    if first <= 0x8F:
        return 2 * (first & 0x0F), at + 1
    if first <= 0x9F:
        return first & 0x0F, at + 1
    if first <= 0xBF:
        return 0, at + 1 + (first & 0x1F)
    if first in _FIXED:
        return 0, at + 1 + _FIXED[first]
    if first in _SIZED:
        width, extra = _SIZED[first]
        return 0, at + 1 + width + extra + _number(data, at + 1, width)
    if first in _NESTED:
        width, each = _NESTED[first]
        return each * _number(data, at + 1, width), at + 1 + width
    raise ValueError("0xc1 is no value")


def _number(data: bytes, at: int, width: int) -> int:
    if at + width > len(data):
        raise IndexError("cut short")
    return int.from_bytes(data[at : at + width], "big")


_FIXED = dict(
    zip(
        (0xCA, 0xCB, 0xCC, 0xCD, 0xCE, 0xCF, 0xD0, 0xD1, 0xD2, 0xD3),
        (4, 8, 1, 2, 4, 8, 1, 2, 4, 8),
        strict=True,
    )
)
_FIXED |= {0xD4 + power: 1 + 2**power for power in range(5)}  # fixext
_SIZED = {
    0xC4: (1, 0),
    0xC5: (2, 0),
    0xC6: (4, 0),
    0xC7: (1, 1),
    0xC8: (2, 1),
    0xC9: (4, 1),
    0xD9: (1, 0),
    0xDA: (2, 0),
    0xDB: (4, 0),
}
_NESTED = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
