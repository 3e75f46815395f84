"""What a camera wants made durable, as values: the store (`storage.ports.cameras.CameraStore`)
takes these."""

import msgspec

from actors.core.messages.alerts import AlertPoint
from actors.core.messages.events import StoredEvent


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Where a camera's committed stream stands. `chain` is the hash of the last event (32
    bytes)."""

    session: str
    last_seq: int
    epoch: str
    last_offset: int
    chain: bytes


class DeadLetter(msgspec.Struct, frozen=True, array_like=True):
    """One refused item; `raw` is what the edge sent."""

    session: str
    seq: int
    code: str
    detail: str
    raw: bytes
    received_us: int


class Replayed(msgspec.Struct, frozen=True, array_like=True):
    """A dead letter that was replayed, and by whom; its `stream.replayed` is among the row's
    events."""

    letter: int
    by: str


class CommitRow(msgspec.Struct, frozen=True, array_like=True):
    """One camera's advance. Applied only where owner, generation and `before` still hold (design
    section 6)."""

    camera: str
    owner: str
    generation: int
    before: Position
    after: Position
    snapshot: bytes
    events: list[StoredEvent] = []
    dead_letters: list[DeadLetter] = []
    replayed: list[Replayed] = []
    faults: dict[
        str, int
        # objects by what was wrong with them (`actors.core.messages.object_faults`); for metrics,
        # not stored as such
    ] = {}
    alerts: list[AlertPoint] = []  # those that changed


class Activation(msgspec.Struct, frozen=True):
    """What an activation returns: the new generation, the row and the registry's scene."""

    camera: str
    site: str
    generation: int
    position: Position
    snapshot: bytes | None
    scene: bytes
    scene_version: int


class Ownership(msgspec.Struct, frozen=True):
    """The row as re-read after a commit that did not move it."""

    camera: str
    owner: str | None
    generation: int
    position: Position
