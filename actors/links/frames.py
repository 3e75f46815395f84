"""What a link carries: frames, each a length (4 bytes, big-endian, of what follows), a kind (1
byte) and a payload (pure).

A length beyond the bound ends the link before anything of that frame is kept: a peer that has not
proven itself may send `MAX_GREETING_BYTES`, one that has `MAX_FRAME_BYTES`.
"""

from enum import IntEnum
from struct import Struct

from actors.core.errors import BadInput

MAX_GREETING_BYTES = 1_024  # kind and payload of a frame of the greeting
# kind and payload of any other frame: what waits for one actor in a hub has 8 MiB at most
# (`hub.ingest.actor_queue`), and an item that is longer than a frame should be goes alone
MAX_FRAME_BYTES = 9 * 1024 * 1024
_HEAD = Struct(">IB")
_LENGTH = 4


class Kind(IntEnum):
    """The kinds of frames. The first five are the greeting, in its order."""

    HELLO = 1
    CHALLENGE = 2
    PROOF = 3
    ACCEPTED = 4
    REFUSED = 5
    ITEMS = 6
    ANSWERS = 7
    PING = 8
    PONG = 9


_KINDS = {int(kind): kind for kind in Kind}


def frame(kind: Kind, payload: bytes = b"") -> bytes:
    """One frame."""
    return _HEAD.pack(len(payload) + 1, kind) + payload


class FrameReader:
    """Bytes in, whole frames out. `limit`: the longest frame taken now, in bytes of kind and
    payload."""

    __slots__ = ("_have", "_need", "_parts", "limit")

    def __init__(self, limit: int = MAX_GREETING_BYTES) -> None:
        self.limit = limit
        self._parts: list[bytes] = []
        self._have = 0
        self._need = _LENGTH + 1  # bytes without which there is nothing new to say

    def feed(self, data: bytes) -> list[tuple[Kind, bytes]]:
        """The frames that `data` completes. Raises BadInput for a length that is out of bounds or
        a kind that is none."""
        if self._parts:  # of a frame that is not whole yet
            self._parts.append(data)
            self._have += len(data)
            if self._have < self._need:  # a long frame is joined once, not with every read
                return []
            data = b"".join(self._parts)
            self._parts = []
        at, end = 0, len(data)
        found: list[tuple[Kind, bytes]] = []
        while end - at > _LENGTH:
            length, number = _HEAD.unpack_from(data, at)
            if not 1 <= length <= self.limit:
                raise BadInput(f"a frame of {length} bytes, 1 to {self.limit} are taken")
            kind = _KINDS.get(number)
            if kind is None:
                raise BadInput(f"a frame of kind {number}, which there is not")
            if end - at - _LENGTH < length:
                break
            found.append((kind, data[at + _LENGTH + 1 : at + _LENGTH + length]))
            at += _LENGTH + length
        if at < end:
            rest = data[at:] if at else data
            self._parts = [rest]
            self._have = len(rest)
            self._need = (
                _LENGTH + int.from_bytes(rest[:_LENGTH], "big")
                if len(rest) > _LENGTH
                else _LENGTH + 1
            )
        return found
