"""What a run did and saw, and what was found stored afterwards: the two inputs of
`load_tests.checker.checker`. Values only.

Times are seconds of the wall clock of the one machine that a run uses. Operations stand in the
order in which they were recorded.
"""

import msgspec

from cluster.event_proofs import AuditEvent, CameraTotals


class Sent(msgspec.Struct, frozen=True):
    """The edge numbered an observation; `body` is what it encoded (`form` is ``json`` or
    ``msgpack``). `at_s`: when it was first sent, 0 where that is not known."""

    camera: str
    session: str
    seq: int
    body: bytes
    form: str = "msgpack"
    at_s: float = 0.0


class Declared(msgspec.Struct, frozen=True):
    """The edge declared a gap."""

    camera: str
    session: str
    first_seq: int
    last_seq: int
    reason: str


class Acknowledged(msgspec.Struct, frozen=True):
    """The edge was told that all up to `seq` is durable."""

    camera: str
    session: str
    seq: int
    at_s: float


class WatcherPosition(msgspec.Struct, frozen=True):
    """A watcher subscribed to the events of a camera, or recovered, and has all up to `offset` of
    `epoch`."""

    watcher: str
    camera: str
    epoch: str
    offset: int


class ShownEvent(msgspec.Struct, frozen=True):
    """A watcher got an event."""

    watcher: str
    camera: str
    epoch: str
    offset: int
    type: str
    time: str


class ToldGap(msgspec.Struct, frozen=True):
    """A watcher was told that it will not get the events up to `last`."""

    watcher: str
    camera: str
    last: int


class ShownState(msgspec.Struct, frozen=True):
    """A watcher got a state, or the word that it is old (`status`, and why: `reason`).
    `received_s`: when the newest observation in it was received, 0 where that is not known."""

    watcher: str
    camera: str
    generation: int
    offset: int
    status: str
    at_s: float
    received_s: float = 0.0
    reason: str = ""


class Closed(msgspec.Struct, frozen=True):
    """A connection of `by` was ended by the hub or the link, with this close code and reason; 0 is
    an end without a close frame. What the run itself has cut is not recorded as this."""

    by: str
    code: int
    reason: str
    at_s: float
    camera: str = ""


class LostOnItsWay(msgspec.Struct, frozen=True):
    """Between these times (wall clock) the link of `watcher` lost or held what went to it, and did
    not end. Pings that stay away tell its client, within `told_s`: the hub's interval and the
    client's patience."""

    watcher: str
    from_s: float
    until_s: float
    told_s: float
    camera: str = ""  # of all


Operation = (
    Sent
    | Declared
    | Acknowledged
    | WatcherPosition
    | ShownEvent
    | ToldGap
    | ShownState
    | Closed
    | LostOnItsWay
)


class Move(msgspec.Struct, frozen=True):
    """An advance of a camera's row as the database saw it, in commit order per camera. `writer` is
    the incarnation that wrote it."""

    camera: str
    writer: str
    owner: str
    generation: int
    session: str
    seq: int
    epoch: str
    offset: int
    at_s: float


class RecordedLetter(msgspec.Struct, frozen=True):
    """A dead letter."""

    camera: str
    session: str
    seq: int
    raw: bytes


class Stored(msgspec.Struct, frozen=True):
    """What was read back through a fresh connection. `scenes` is the scene (JSON) every camera had
    during the whole run."""

    cameras: list[CameraTotals]
    events: list[AuditEvent]
    letters: list[RecordedLetter] = []
    moves: list[Move] = []
    scenes: dict[str, bytes] = {}
